// check.mjs BASE_URL SCREENSHOT: opens /docs in headless Chromium, as a reader would. The page
// must show every operation of the document, create an order with "Try it out", talk to no
// other host, and break no rule of its Content-Security-Policy.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

// Installed by scripts/check-docs-page, which says where.
const { chromium } = createRequire(import.meta.url)('playwright-core');

const [baseUrl, screenshot] = process.argv.slice(2);
const SECOND = 1000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 2000 } });
  page.setDefaultTimeout(20 * SECOND);
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const foreign = [];
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${baseUrl}/`) && !url.startsWith('data:')) foreign.push(url);
  });

  const reply = await page.goto(`${baseUrl}/docs`);
  assert.match(reply.headers()['content-security-policy'], /^default-src 'none'/);
  await page.waitForSelector('.opblock');
  await showsEveryOperation(page);
  await page.screenshot({ path: screenshot.replace('.png', '-list.png') });
  const order = await createsAnOrder(page);
  await page.screenshot({ path: screenshot });

  assert.deepEqual(foreign, [], 'requests to other hosts');
  assert.deepEqual(complaints, [], 'complaints in the console');
  console.log(`/docs: renders, lists all operations, created order ${order}`);
} finally {
  await browser.close();
}

async function showsEveryOperation(page) {
  const document = await (await fetch(`${baseUrl}/openapi.json`)).json();
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const shown = await page.$$eval('.opblock', (blocks) =>
    blocks.map((block) => {
      const method = block.querySelector('.opblock-summary-method').textContent;
      const path = block.querySelector('.opblock-summary-path').dataset.path;
      return `${method} ${path}`;
    }),
  );
  assert.deepEqual(shown.sort(), documented.sort());
  assert.equal(await page.title(), 'Order service: API');
}

async function createsAnOrder(page) {
  await page.click('#operations-orders-order_create .opblock-summary-control');
  const replied = page.waitForResponse((response) => response.request().method() === 'POST');
  await page.click('#operations-orders-order_create .execute');
  const response = await replied;
  assert.equal(response.status(), 201, await response.text());
  const status = await page.textContent('#operations-orders-order_create .live-responses-table tbody .response-col_status');
  assert.match(status, /^201/);
  const { data } = await response.json();
  assert.equal((await fetch(`${baseUrl}/api/orders/${data.id}`)).status, 200);
  return data.id;
}
