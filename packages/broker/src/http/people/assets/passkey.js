// In the browser: registers a passkey, or logs in with one. Says what happens in the element #said.
const button = document.querySelector('button[data-passkey]');
const said = document.querySelector('#said');

async function post(path, body, csrf) {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(csrf ? { 'x-csrf-token': csrf } : {}) },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  return told;
}

async function register() {
  const csrf = button.dataset.csrf;
  // The invitation stands behind the #, which browsers send to nobody.
  const invitation = location.hash.slice(1);
  const asked = invitation === '' ? {} : { invitation };
  const { options } = await post('/passkeys/begin', asked, csrf);
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await navigator.credentials.create({ publicKey });
  const label = document.querySelector('#label').value;
  return post('/passkeys/end', { response: credential.toJSON(), label }, csrf);
}

async function logIn() {
  const { options } = await post('/login/passkey/begin', {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey });
  const next = button.dataset.next;
  return post('/login/passkey/end', { response: credential.toJSON(), next });
}

button?.addEventListener('click', async () => {
  button.disabled = true;
  said.textContent = 'Your device asks you now.';
  try {
    const { next } = await (button.dataset.passkey === 'register' ? register() : logIn());
    location.assign(next);
  } catch (error) {
    button.disabled = false;
    said.textContent = `It did not work: ${error.message}`;
  }
});
