// A person at a browser: opens an authorization URL in headless Chromium, types a login, clicks through the consent
// page, waits for the page of our own loopback listener and takes a picture of it.
//
//   node browser.mjs URL PICTURE.png [LOGIN]
//
// Prints {"url": …, "title": …, "status": …, "text": …, "pages": […]} of the page at the end. `CHROMIUM` names another
// executable. The browser has a fresh profile and can reach nothing but this machine.

import { chromium } from 'playwright-core';

const [url, picture, login = 'ada'] = process.argv.slice(2);
if (!url || !picture) {
  console.error('usage: node browser.mjs URL PICTURE.png [LOGIN]');
  process.exit(2);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE [::1], EXCLUDE localhost',
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 600 } });
  page.setDefaultTimeout(20_000);
  const { origin } = new URL(url);
  const pages = [];

  await page.goto(url, { waitUntil: 'domcontentloaded' });
  pages.push(await page.title());
  await page.getByPlaceholder('Enter any login').fill(login);
  await page.getByPlaceholder('and password').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();

  const consent = page.getByRole('button', { name: 'Continue' });
  await consent.waitFor();
  pages.push(await page.getByRole('heading').first().innerText());

  const ours = (to) => to.origin !== origin && ['127.0.0.1', '[::1]'].includes(to.hostname);
  const [last] = await Promise.all([
    page.waitForResponse((response) => ours(new URL(response.url()))),
    page.waitForURL(ours, { waitUntil: 'load' }),
    consent.click(),
  ]);
  await page.screenshot({ path: picture });
  console.log(JSON.stringify({
    url: page.url(),
    title: await page.title(),
    status: last.status(),
    text: (await page.locator('body').innerText()).trim(),
    pages,
  }));
} finally {
  await browser.close();
}
