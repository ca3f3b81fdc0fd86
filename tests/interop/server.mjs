// A real authorization server for the interop tests: oidc-provider on a loopback port of its own.
//
//   node server.mjs
//
// When it is ready it prints one line of JSON: the issuer and the registered clients. It runs until its standard
// input closes, so that it cannot outlive the test that started it. Every request to it is kept without any value of
// a parameter or header, and `GET /-/log` hands the list out: what a client sent can be compared between runners.
//
// Everything is in memory and made anew at each start: keys, clients' secrets, tokens.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import Provider, { errors } from 'oidc-provider';

// The provider warns about development defaults on standard output; that stream carries our one line only.
console.info = console.warn = console.error;

const signingKey = (type, options, members) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  ...members,
});

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

// A native client names a loopback literal without a port and may come back on any (RFC 8252 §7.3).
const loopback = ['/', '/callback', '/cb'].flatMap((path) => [`http://127.0.0.1${path}`, `http://[::1]${path}`]);

const native = (client_id, id_token_signed_response_alg) => ({
  client_id,
  client_name: `interop ${client_id}`,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: loopback,
  id_token_signed_response_alg,
});

const confidential = (client_id, token_endpoint_auth_method) => ({
  client_id,
  // Characters that show whether Basic credentials are form-encoded first (RFC 6749 §2.3.1).
  client_secret: `${randomBytes(24).toString('base64')}:%+ /=&`,
  token_endpoint_auth_method,
  grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: ['http://127.0.0.1:9/callback'],
});

const clients = {
  native: native('native', 'RS256'),
  native_ps256: native('native-ps256', 'PS256'),
  native_es256: native('native-es256', 'ES256'),
  native_eddsa: native('native-eddsa', 'EdDSA'),
  basic: confidential('basic:client', 'client_secret_basic'),
  post: confidential('post-client', 'client_secret_post'),
  device: {
    client_id: 'device',
    client_name: 'interop device',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: [DEVICE_GRANT, 'refresh_token'],
    response_types: [],
    redirect_uris: [],
  },
};

const resource = 'https://api.interop.test/';

const configuration = {
  clients: Object.values(clients),
  jwks: {
    keys: [
      signingKey('rsa', { modulusLength: 2048 }, { kid: 'rsa' }),
      signingKey('ec', { namedCurve: 'P-256' }, { kid: 'p256' }),
      signingKey('ed25519', {}, { kid: 'ed25519' }),
    ],
  },
  cookies: { keys: [randomBytes(16).toString('hex')] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
  },
  // Any login is an account.
  findAccount: async (_ctx, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id,
      name: `Person ${id}`,
      preferred_username: id,
      email: `${id}@interop.test`,
      email_verified: true,
    }),
  }),
  pkce: { required: () => true },
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  expiresWithSession: async () => false,
  rotateRefreshToken: true,
  ttl: {
    AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 600,
    ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? 600,
    DeviceCode: 120,
    Grant: 3600,
    IdToken: 600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async (_ctx, client) => client.clientAuthMethod !== 'none' },
    revocation: { enabled: true },
    userinfo: { enabled: true },
    claimsParameter: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    dPoP: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // The first token may be for the resource that was asked for at the authorization endpoint.
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_ctx, indicator) => {
        if (indicator !== resource) throw new errors.InvalidTarget();
        return {
          audience: resource,
          scope: 'api:read api:write',
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        };
      },
    },
  },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);

  const log = [];
  provider.use(async (ctx, next) => {
    if (ctx.path === '/-/log') {
      ctx.body = log;
      return;
    }
    await next();
    log.push({
      method: ctx.method,
      path: ctx.path.replace(/^\/(auth|interaction|device(?!\/auth$))\/.*/, '/$1/…'),
      status: ctx.status,
      authorization: ctx.get('authorization').split(' ')[0].toLowerCase() || 'none',
      accept: ctx.get('accept') || 'none',
      query: [...ctx.URL.searchParams.keys()].sort(),
      form: Object.keys(ctx.oidc?.body ?? {}).sort(),
      grant_type: ctx.oidc?.body?.grant_type,
    });
    log.splice(0, log.length - 1000);
  });
  provider.on('server_error', (_ctx, error) => console.error(error));

  server.on('request', provider.callback());
  const known = Object.entries(clients).map(([name, { client_id, client_secret }]) => [name, { client_id, client_secret }]);
  console.log(JSON.stringify({ issuer, resource, clients: Object.fromEntries(known) }));
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
