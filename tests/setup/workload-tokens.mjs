// Tokens as platforms hand them to jobs, signed with the provider's own key. What each platform puts in is
// from its documentation: "OpenID Connect reference" (GitHub Docs), "OpenID Connect (OIDC) Authentication
// Using ID Tokens" (GitLab Docs), "Managing Service Accounts" (Kubernetes).
//
//   GET  /actions/token?audience=AUD   as GitHub's runner answers whoever brings the bearer `runner`;
//                                      `asked` in the answer to GET /actions/asked counts it
//   POST /actions/claims               JSON: claims of the tokens that follow; a null takes one away
//   POST /mint                         JSON {shape, claims, header, forge}: the token, as text
//
// Claims named `+iat`, `+nbf`, `+exp` are seconds from now.

import crypto from 'node:crypto';
import { SignJWT } from 'jose';

export function key() {
  // as text: a key that shares its handle with the job that made it can lock itself up for good, when that job
  // is collected while the key is exported (Node 20: ~KeyGenJob waits for the mutex that the export holds)
  const pair = crypto.generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const [privateKey, publicKey] = [crypto.createPrivateKey(pair.privateKey), crypto.createPublicKey(pair.publicKey)];
  const kid = crypto.randomBytes(8).toString('hex');
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
  return { kid, jwk, privateKey, publicKey };
}

export function tokens(issuer, { kid, privateKey, publicKey }) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  let changed = {};
  let asked = 0;

  async function mint({ shape = 'github', claims = {}, header = {}, forge } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: issuer, jti: crypto.randomUUID(), ...shapes[shape](now) };
    for (const [name, value] of Object.entries(claims)) {
      if (name.startsWith('+')) all[name.slice(1)] = now + value;
      else if (value === null) delete all[name];
      else all[name] = value;
    }
    const head = { alg: 'RS256', typ: 'JWT', kid, ...header };
    if (forge === undefined && head.alg === 'RS256') {
      return new SignJWT(all).setProtectedHeader(head).sign(privateKey);
    }
    const signed = `${part(head)}.${part(all)}`;
    const signature = {
      // the public key, which everybody knows, as the secret of a keyed hash
      hmac: () =>
        crypto
          .createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' }))
          .update(signed)
          .digest('base64url'),
      none: () => '',
      rsa: () => crypto.sign('sha256', Buffer.from(signed), privateKey).toString('base64url'),
    }[forge]();
    return `${signed}.${signature}`;
  }

  return async function serve(context, next) {
    const { method, path } = context;
    if (method === 'GET' && path === '/actions/token') {
      if (context.get('authorization') !== 'Bearer runner') return void (context.status = 401);
      asked += 1;
      const claims = { aud: context.query.audience ?? 'https://github.com/acme', ...changed };
      context.body = { count: 1, value: await mint({ shape: 'github', claims }) };
    } else if (method === 'GET' && path === '/actions/asked') {
      context.body = { asked };
    } else if (method === 'POST' && path === '/actions/claims') {
      changed = await json(context.req);
      context.body = {};
    } else if (method === 'POST' && path === '/mint') {
      context.body = await mint(await json(context.req));
    } else {
      await next();
    }
  };
}

async function json(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString());
}

const audience = 'urn:hoopctl:broker';

const shapes = {
  none: () => ({}),
  // a push to main
  github: (now) => ({
    aud: audience,
    sub: 'repo:acme/app:ref:refs/heads/main',
    ref: 'refs/heads/main',
    sha: '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d',
    repository: 'acme/app',
    repository_owner: 'acme',
    repository_owner_id: '65',
    run_id: '19000000001',
    run_number: '10',
    run_attempt: '2',
    repository_visibility: 'private',
    repository_id: '74',
    actor_id: '12',
    actor: 'octocat',
    workflow: 'deploy',
    head_ref: '',
    base_ref: '',
    event_name: 'push',
    ref_protected: 'true',
    ref_type: 'branch',
    workflow_ref: 'acme/app/.github/workflows/deploy.yml@refs/heads/main',
    workflow_sha: '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d',
    job_workflow_ref: 'acme/app/.github/workflows/deploy.yml@refs/heads/main',
    job_workflow_sha: '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d',
    runner_environment: 'github-hosted',
    nbf: now - 5,
    iat: now,
    exp: now + 300,
  }),
  gitlab: (now) => ({
    aud: audience,
    sub: 'project_path:acme/app:ref_type:branch:ref:main',
    namespace_id: '72',
    namespace_path: 'acme',
    project_id: '20',
    project_path: 'acme/app',
    user_id: '1',
    user_login: 'sample-user',
    user_email: 'sample-user@example.test',
    user_access_level: 'developer',
    user_identities: [{ provider: 'github', extern_uid: '2435223452345' }],
    pipeline_id: '574',
    pipeline_source: 'push',
    job_id: '302',
    ref: 'main',
    ref_type: 'branch',
    ref_path: 'refs/heads/main',
    ref_protected: 'true',
    groups_direct: ['acme/admins'],
    environment: 'production',
    environment_protected: 'true',
    deployment_tier: 'production',
    environment_action: 'start',
    runner_id: 1,
    runner_environment: 'self-hosted',
    sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
    project_visibility: 'private',
    ci_config_ref_uri: 'gitlab.example.com/acme/app//.gitlab-ci.yml@refs/heads/main',
    ci_config_sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
    nbf: now - 5,
    iat: now,
    exp: now + 3600,
  }),
  kubernetes: (now) => ({
    aud: [audience],
    sub: 'system:serviceaccount:shop:migrations',
    'kubernetes.io': {
      namespace: 'shop',
      node: { name: 'node-1', uid: '6f1b7a2e-4b0f-4c55-9d0b-0b6c7e0d5f11' },
      pod: { name: 'migrate-7xk2p', uid: 'b1a3f1de-9d4c-4f0e-8a39-6e3f6f0d8a10' },
      serviceaccount: { name: 'migrations', uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
      warnafter: now + 3607,
    },
    nbf: now,
    iat: now,
    exp: now + 3607,
  }),
};
