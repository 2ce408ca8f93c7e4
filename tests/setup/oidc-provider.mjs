// The certified provider `oidc-provider` as the tests need it: a public client with the device
// grant and rotating refresh tokens, and people whose groups are in the ID token. It also signs what
// platforms hand to jobs (workload-tokens.mjs).
//
//   PORT=12345 node server.mjs        prints `ready ISSUER` when it listens on 127.0.0.1
//   LEAN=yes                          ID tokens have no auth_time, and groups are at userinfo only
//
// A line on standard input changes people: `groups alice dev,oncall`, `remove alice`; `back 420` puts its
// clock so many seconds behind.
// The end of standard input ends it.

import readline from 'node:readline';
import { Provider } from 'oidc-provider';
import { key, tokens } from './workload-tokens.mjs';

const clock = Date.now.bind(Date);
let behind = 0;
Date.now = () => clock() - behind * 1000;

const lean = process.env.LEAN !== undefined;
const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const people = new Map([
  ['alice', ['dba', 'oncall']],
  ['bob', ['dev']],
  ['mallory', []],
  // alice's second account
  ['alice-admin', ['dev']],
]);

const minutes = (n) => n * 60;
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

const signing = key();

const provider = new Provider(issuer, {
  jwks: { keys: [signing.jwk] },
  clients: [
    {
      client_id: 'hoopctl',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: [deviceGrant, 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    },
    {
      client_id: 'robot',
      client_secret: 'robot-secret',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
  ],
  scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
  claims: {
    openid: lean ? ['sub'] : ['sub', 'auth_time'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  // what the scopes name goes into the ID token as well, not only to userinfo
  conformIdTokenClaims: false,
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // an access token with an audience is not for userinfo
      defaultResource: (_context, client) =>
        lean && client.clientId === 'hoopctl' ? undefined : 'urn:hoopctl:broker',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'broker',
        accessTokenFormat: 'jwt',
        accessTokenTTL: minutes(5),
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  async issueRefreshToken(_context, client, code) {
    return client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access');
  },
  rotateRefreshToken: true,
  ttl: {
    AccessToken: minutes(5),
    ClientCredentials: minutes(5),
    DeviceCode: minutes(10),
    Grant: minutes(600),
    IdToken: minutes(5),
    Interaction: minutes(10),
    RefreshToken: minutes(600),
    Session: minutes(600),
  },
  async findAccount(_context, id) {
    if (!people.has(id)) return undefined;
    return {
      accountId: id,
      async claims(use) {
        const groups = lean && use === 'id_token' ? {} : { groups: people.get(id) };
        return {
          sub: id,
          name: id,
          preferred_username: id,
          email: `${id.replace('-admin', '')}@example.test`,
          email_verified: true,
          ...groups,
        };
      },
    };
  },
  cookies: { keys: ['for tests only'] },
});

provider.use(tokens(issuer, signing));
provider.listen(port, '127.0.0.1', () => console.log(`ready ${issuer}`));

const commands = readline.createInterface({ input: process.stdin });
commands.on('line', (line) => {
  const [verb, person, groups = ''] = line.trim().split(' ');
  if (verb === 'groups') people.set(person, groups.split(',').filter(Boolean));
  if (verb === 'back') behind = Number(person);
  if (verb === 'remove') people.delete(person);
  console.log(`done ${line.trim()}`);
});
commands.on('close', () => process.exit(0));
