// A person without a browser: walks the server's login, consent and device pages by plain HTTP, keeping cookies and
// submitting the forms it finds.
//
//   node person.mjs authorize URL [--login NAME] [--deny] [--follow]
//   node person.mjs device URL [--code CODE] [--login NAME] [--deny]
//
// `authorize` stops at the redirect that leaves the server and prints {"location": …}; with --follow it asks for that
// address too, as a browser would, and adds the status and text of the answer. `device` enters the code (it may be in
// the URL), confirms it, logs in and consents, and prints {"title": …} of the last page.

import { get } from 'node:http';
import { parseArgs } from 'node:util';

/** Cookies of one host, by name and path (RFC 6265 as far as one loopback server needs it). */
class Cookies {
  #jar = new Map();

  take(response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(/;\s*/);
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const of = (key) => attributes.find((a) => a.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1);
      const path = of('path') ?? '/';
      const expires = of('expires');
      if (value === '' || (expires && Date.parse(expires) < Date.now())) this.#jar.delete(`${path} ${name}`);
      else this.#jar.set(`${path} ${name}`, { name, value, path });
    }
  }

  header(url) {
    const { pathname } = new URL(url);
    const fits = ({ path }) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
    return [...this.#jar.values()].filter(fits).map(({ name, value }) => `${name}=${value}`).join('; ');
  }
}

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#x27': "'" };
const unescape = (text) => text.replace(/&(amp|lt|gt|quot|#39|#x27);/g, (_, name) => entities[name]);
const attribute = (tag, name) => {
  const found = new RegExp(`\\b${name}=(?:"([^"]*)"|'([^']*)')`, 'i').exec(tag);
  return found ? unescape(found[1] ?? found[2]) : undefined;
};

/** The first form of a page: where it goes and what it says before anybody types. */
function form(html, base) {
  const found = /<form\b[^>]*>([\s\S]*?)<\/form>/i.exec(html);
  if (!found) return undefined;
  const fields = new URLSearchParams();
  for (const [tag] of found[1].matchAll(/<input\b[^>]*>/gi)) {
    const name = attribute(tag, 'name');
    if (name) fields.set(name, attribute(tag, 'value') ?? '');
  }
  return { action: new URL(attribute(found[0], 'action') ?? base, base).href, fields };
}

const title = (html) => unescape(/<title>([^<]*)<\/title>/i.exec(html)?.[1] ?? '');

/** Follows redirects and submits forms until the way leaves the server, a page has no form or the person stops. */
async function walk(start, person) {
  const { origin } = new URL(start);
  const cookies = new Cookies();
  let next = { url: start };
  for (let steps = 0; steps < 30; steps += 1) {
    if (new URL(next.url).origin !== origin) return { location: next.url };
    const response = await fetch(next.url, {
      method: next.body ? 'POST' : 'GET',
      body: next.body,
      headers: { cookie: cookies.header(next.url), accept: 'text/html' },
      redirect: 'manual',
    });
    cookies.take(response);
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location) {
      next = { url: new URL(location, next.url).href };
      continue;
    }
    const html = await response.text();
    const page = form(html, next.url);
    if (response.status >= 400 || !page) return { status: response.status, title: title(html), html };
    next = person(page, html, next.url);
    if (!next) return { status: response.status, title: title(html), html };
  }
  throw new Error('thirty pages and no end');
}

/** One GET. Not with `fetch`, which says that it is a script, and scripts have no business at a redirect URI. */
const navigate = (url) => new Promise((resolve, reject) => {
  get(url, (response) => {
    let html = '';
    response.setEncoding('utf8');
    response.on('data', (piece) => { html += piece; });
    response.on('end', () => resolve({ status: response.statusCode, html }));
  }).on('error', reject);
});

const { positionals: [what, url], values } = parseArgs({
  allowPositionals: true,
  options: {
    login: { type: 'string', default: 'ada' },
    code: { type: 'string' },
    deny: { type: 'boolean', default: false },
    follow: { type: 'boolean', default: false },
  },
});
if (!url || !['authorize', 'device'].includes(what)) {
  console.error('usage: node person.mjs authorize|device URL [--login NAME] [--code CODE] [--deny] [--follow]');
  process.exit(2);
}

let denied = false;
const outcome = await walk(url, ({ action, fields }, html, here) => {
  if (denied) return undefined;
  if (fields.has('login')) fields.set('login', values.login);
  if (fields.has('password')) fields.set('password', 'any');
  if (fields.get('user_code') === '' && values.code) fields.set('user_code', values.code);
  if (values.deny && what === 'device' && fields.has('confirm')) {
    fields.set('abort', 'yes');
    denied = true;
  }
  if (values.deny && what === 'authorize') {
    const cancel = [...html.matchAll(/<a\b[^>]*>/gi)].map(([tag]) => attribute(tag, 'href')).find((to) => to?.endsWith('/abort'));
    if (cancel) return { url: new URL(cancel, here).href };
  }
  return { url: action, body: fields };
});

if (what === 'device') {
  if (outcome.status === undefined) throw new Error(`the device page led to ${outcome.location}`);
  console.log(JSON.stringify({ status: outcome.status, title: outcome.title }));
} else if (outcome.location === undefined) {
  console.error(outcome.html.replace(/<style>[\s\S]*?<\/style>|<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim());
  process.exit(1);
} else if (values.follow) {
  const { status, html } = await navigate(outcome.location);
  console.log(JSON.stringify({ location: outcome.location, status, title: title(html), html }));
} else {
  console.log(JSON.stringify({ location: outcome.location }));
}
