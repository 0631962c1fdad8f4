// How a client of OAuth proves itself at a token endpoint (RFC 7591 §2, RFC 7523 §2.2).
export type AuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt';
