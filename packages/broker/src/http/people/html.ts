// HTML of people's pages: text is escaped wherever it is put in, and every page has one frame.

/** Text that is HTML already. Made by `html` alone. */
export interface Html {
  readonly html: string;
}

type Part = string | number | Html | readonly Html[] | null;

/** A template: what is put in is text and escaped, unless it is Html itself. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: texts.reduce((done, text, index) => done + textOf(parts[index - 1] ?? null) + text) };
}

function textOf(part: Part): string {
  if (part === null) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeText(String(part));
  return 'html' in part ? part.html : part.map((each) => each.html).join('');
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}

/** `script`: the page uses passkeys. */
export function pageOf(title: string, body: Html, script = false): string {
  const behaviour = script ? html`<script src="/assets/passkey.js" defer></script>` : null;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Countersign</title>
<link rel="stylesheet" href="/assets/page.css">
${behaviour}
</head>
<body>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`.html;
}
