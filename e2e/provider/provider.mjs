// A real authorization server for the tests: oidc-provider, configured by the first line of standard input, which is JSON:
//
//   configuration  merged over the settings below; anything that oidc-provider takes as JSON (clients, features, ttl, scopes, ...)
//   behavior       how to answer, see `behavior` below
//   alwaysRefresh  true: a refresh token with every grant, also when nobody asked for offline_access
//   resources      the resource indicators that may be asked for; their access tokens are JWTs for them
//   tls            {key, cert}: https with this certificate, both in PEM
//   mutualTLS      true: endpoints for clients with a certificate too, at another address (mtls_endpoint_aliases); needs tls
//   dpopNonces     true: DPoP proofs need a nonce of the provider
//
// It prints one line of JSON, {"issuer": URL, "control": URL}, when it answers, and ends when standard input is closed.
// The control address is for the tests alone:
//
//   GET /requests  what has been asked of the provider so far, in order of arrival
//   GET /tokens    the codes and tokens that it knows
//   PUT /behavior  replaces parts of `behavior`

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createInterface } from 'node:readline';
import { json, text } from 'node:stream/consumers';
import Provider, { errors } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, 'line');
lines.on('close', () => process.exit(0));
const given = JSON.parse(line);

// What tests may change while the provider runs.
const behavior = {
  delay: 0, // milliseconds before any request is looked at
  hold: 0, // milliseconds from when a token request has had its effect until it is answered
  accessTokenTTL: 3600, // seconds
  answers: [], // {path, times, status, headers, body}: given instead of the provider's own, `times` times
  ...given.behavior,
};

const requests = [];

// Records every request before it is answered, so that a client that has its answer is in the list.
async function observe(ctx, next) {
  const request = { method: ctx.method, path: ctx.path, headers: ctx.headers, parameters: { ...ctx.query } };
  requests.push(request);
  if (behavior.delay > 0) {
    await new Promise((resolve) => { setTimeout(resolve, behavior.delay); });
  }
  const canned = behavior.answers.find((answer) => answer.path === ctx.path && answer.times > 0);
  if (canned) {
    canned.times -= 1;
    ctx.status = canned.status;
    ctx.set(canned.headers ?? {});
    ctx.body = canned.body;
    Object.assign(request.parameters, Object.fromEntries(new URLSearchParams(await text(ctx.req))));
  } else {
    await next();
  }
  Object.assign(request.parameters, ctx.oidc?.body);
  request.status = ctx.status;
  if (behavior.hold > 0 && ctx.path === '/token') {
    await new Promise((resolve) => { setTimeout(resolve, behavior.hold); });
  }
}

const adapterOf = createMemoryAdapter();
const issued = new Map(); // model name -> {adapter, ids}
const inventoried = ['AuthorizationCode', 'AccessToken', 'RefreshToken', 'DeviceCode'];

function inventory(model) {
  const adapter = adapterOf(model);
  if (inventoried.includes(model)) {
    const ids = new Set();
    const upsert = adapter.upsert.bind(adapter);
    adapter.upsert = (id, ...rest) => {
      ids.add(id);
      return upsert(id, ...rest);
    };
    issued.set(model, { adapter, ids });
  }
  return adapter;
}

async function tokens() {
  const found = [];
  for (const [kind, { adapter, ids }] of issued) {
    for (const id of ids) {
      const payload = await adapter.find(id);
      if (payload) {
        const { clientId, accountId, scope, consumed } = payload;
        found.push({ kind, clientId, accountId, scope, consumed: Boolean(consumed) });
      }
    }
  }
  return found;
}

async function control(req, res) {
  let answer;
  switch (`${req.method} ${req.url}`) {
    case 'GET /requests':
      answer = requests;
      break;
    case 'GET /tokens':
      answer = await tokens();
      break;
    case 'PUT /behavior':
      answer = Object.assign(behavior, await json(req));
      break;
    default:
      res.writeHead(404).end();
      return;
  }
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
}

async function listen(tls) {
  const server = (tls ? createSecureServer(tls) : createServer()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return [server, `http${tls ? 's' : ''}://127.0.0.1:${server.address().port}`];
}

const resourceIndicators = {
  enabled: true,
  defaultResource: () => undefined,
  useGrantedResource: () => true,
  getResourceServerInfo: (ctx, resource) => {
    if (!given.resources.includes(resource)) {
      throw new errors.InvalidTarget();
    }
    return { scope: 'read', audience: resource, accessTokenFormat: 'jwt' };
  },
};

// Clients with a certificate (RFC 8705): it is what they have shown when they connected.
const mTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
  certificateAuthorized: (ctx) => ctx.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_uri'
    && ctx.socket.getPeerX509Certificate().subjectAltName === `URI:${expected}`,
};

const dPoP = { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true };

const [server, issuer] = await listen(given.tls); // before the provider, which must know its address
const [controlServer, controlAddress] = await listen();
const [mutual, mutualAddress] = given.mutualTLS
  ? await listen({
    ...given.tls, ca: given.tls.cert, requestCert: true, rejectUnauthorized: false,
  })
  : [];

const settings = {
  adapter: inventory,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false, // the ID token carries the claims of the scopes
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: id, email: `${id}@example.test`, email_verified: true }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ...(given.alwaysRefresh && { issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token') }),
  ...(mutual && {
    discovery: {
      mtls_endpoint_aliases: {
        token_endpoint: `${mutualAddress}/token`,
        userinfo_endpoint: `${mutualAddress}/me`,
        revocation_endpoint: `${mutualAddress}/token/revocation`,
      },
    },
  }),
  ...given.configuration,
  features: {
    devInteractions: { enabled: true }, // any login, any password
    revocation: { enabled: true },
    ...(given.resources && { resourceIndicators }),
    ...(given.mutualTLS && { mTLS }),
    ...(given.dpopNonces && { dPoP }),
    ...given.configuration.features,
  },
  ttl: {
    AccessToken: () => behavior.accessTokenTTL,
    RefreshToken: 86400,
    ...given.configuration.ttl,
  },
};

const provider = new Provider(issuer, settings);
provider.use(observe);
provider.on('server_error', (ctx, err) => console.error(err));
server.on('request', provider.callback());
mutual?.on('request', provider.callback());
controlServer.on('request', (req, res) => {
  control(req, res).catch((err) => res.writeHead(500).end(String(err)));
});
console.log(JSON.stringify({ issuer, control: controlAddress }));
