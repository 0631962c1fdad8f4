// Preload of an isolated Node program: takes the network, signals and databases away before its first line runs.
'use strict';

const dgram = require('node:dgram');
const dns = require('node:dns');
const dnsPromises = require('node:dns/promises');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const os = require('node:os');
const tls = require('node:tls');
const { syncBuiltinESMExports } = require('node:module');

function denied() {
  const error = new Error('Not permitted in this isolated process');
  error.code = 'ERR_ACCESS_DENIED';
  throw error;
}

/** Replaces a function for good: neither writable nor configurable, so the program cannot put it back. */
function deny(owner, name) {
  if (typeof owner?.[name] !== 'function') return;
  Object.defineProperty(owner, name, {
    value: denied,
    writable: false,
    configurable: false,
    enumerable: true,
  });
}

/** Denies every own function of a module or prototype, except the listed ones. */
function denyAll(owner, except = []) {
  for (const name of Object.getOwnPropertyNames(owner))
    if (
      name !== 'constructor' &&
      !except.includes(name) &&
      Object.getOwnPropertyDescriptor(owner, name)?.value
    )
      deny(owner, name);
}

// A stream on an inherited pipe is a net.Socket, so the class stays usable; only reaching out is taken.
deny(net.Socket.prototype, 'connect');
for (const name of ['listen', '_listen2']) deny(net.Server.prototype, name);
denyAll(net, ['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress', 'Socket', 'Stream', 'Server']);
denyAll(tls, ['checkServerIdentity', 'SecureContext', 'TLSSocket', 'Server']);
denyAll(dgram.Socket.prototype, ['on', 'once', 'emit', 'ref', 'unref']);
denyAll(dgram);
denyAll(dns.Resolver.prototype);
denyAll(dnsPromises.Resolver.prototype);
denyAll(dns);
denyAll(dnsPromises);
for (const name of ['request', 'get', 'createServer']) {
  deny(http, name);
  deny(https, name);
}
for (const name of ['connect', 'createServer', 'createSecureServer', 'performServerHandshake'])
  deny(http2, name);
deny(http.Agent.prototype, 'createConnection');
deny(https.Agent.prototype, 'createConnection');
for (const name of [
  'kill',
  '_kill',
  '_debugProcess',
  'binding',
  '_linkedBinding',
  'dlopen',
  'execve',
  'abort',
])
  deny(process, name);
for (const name of [
  '_getActiveHandles',
  '_getActiveRequests',
  'setuid',
  'setgid',
  'seteuid',
  'setegid',
  'setgroups',
])
  deny(process, name);
deny(os, 'setPriority');
deny(require('node:async_hooks'), 'createHook');
for (const name of ['fetch', 'WebSocket', 'EventSource']) {
  if (name in globalThis)
    Object.defineProperty(globalThis, name, { value: denied, writable: false, configurable: false });
}
syncBuiltinESMExports();

// The pipes of standard input and output lead to their native class, which could open other sockets.
for (const stream of [process.stdin, process.stdout, process.stderr]) {
  const handle = stream?._handle;
  if (handle === null || handle === undefined) continue;
  const native = Object.getPrototypeOf(handle);
  for (const name of ['connect', 'connect6', 'bind', 'bind6', 'listen', 'open', 'fchmod']) deny(native, name);
  Object.defineProperty(native, 'constructor', { value: denied, writable: false, configurable: false });
}
