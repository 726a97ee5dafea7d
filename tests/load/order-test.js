// Load on the order service: orders are created, read, listed, moved through their life and
// cancelled, in the proportions below. Run by `make load` (smoke and load); by hand:
//
//     k6 run -e SCENARIO=stress -e BASE_URL=http://127.0.0.1:8003 tests/load/order-test.js
//
// SCENARIO   smoke, load, stress, spike or soak (default smoke)
// BASE_URL   where the service answers (default http://127.0.0.1:8003)
// RATE       customers a second in `load`; the others follow from it (default 20)
// DURATION   of `load` and `soak`
// PRODUCTS   the catalogue has p1 to this one (default 1000)
// SUMMARY    a file for the summary as JSON

import http from 'k6/http';
import { check } from 'k6';
import { Counter } from 'k6/metrics';

const BASE_URL = (__ENV.BASE_URL || 'http://127.0.0.1:8003').replace(/\/$/, '');
const SCENARIO = __ENV.SCENARIO || 'smoke';
const RATE = Number(__ENV.RATE || 20);
const PRODUCTS = Number(__ENV.PRODUCTS || 1000);
const JSON_HEADERS = { 'Content-Type': 'application/json' };

const arrivals = (extra) => ({
  executor: 'ramping-arrival-rate',
  timeUnit: '1s',
  preAllocatedVUs: 50,
  maxVUs: 500,
  gracefulStop: '10s',
  ...extra,
});

const SCENARIOS = {
  // Does everything work at all?
  smoke: { executor: 'shared-iterations', vus: 2, iterations: 30, maxDuration: '30s' },
  // An ordinary day, by arrivals: a slow service does not slow its customers down.
  load: {
    executor: 'constant-arrival-rate',
    rate: RATE,
    timeUnit: '1s',
    duration: __ENV.DURATION || '5m',
    preAllocatedVUs: 50,
    maxVUs: 200,
    gracefulStop: '10s',
  },
  // More and more, to see where it bends and that it recovers.
  stress: arrivals({
    startRate: RATE,
    stages: [
      { duration: '1m', target: RATE * 2 },
      { duration: '1m', target: RATE * 5 },
      { duration: '1m', target: RATE * 10 },
      { duration: '1m', target: RATE },
    ],
  }),
  // Twenty times as many from one second to the next: what scaling has to catch.
  spike: arrivals({
    startRate: RATE,
    stages: [
      { duration: '30s', target: RATE },
      { duration: '1s', target: RATE * 20 },
      { duration: '30s', target: RATE * 20 },
      { duration: '1s', target: RATE },
      { duration: '30s', target: RATE },
    ],
  }),
  // For hours: leaks of memory and connections.
  soak: {
    executor: 'constant-arrival-rate',
    rate: RATE,
    timeUnit: '1s',
    duration: __ENV.DURATION || '4h',
    preAllocatedVUs: 50,
    maxVUs: 200,
  },
};

if (!SCENARIOS[SCENARIO]) {
  throw new Error(`SCENARIO=${SCENARIO}: not one of ${Object.keys(SCENARIOS).join(', ')}`);
}

// Under more load than it was made for the service may refuse (503), never answer wrongly.
const overload = SCENARIO === 'stress' || SCENARIO === 'spike';
const OPERATIONS = ['create', 'read', 'list', 'change', 'cancel'];
// Milliseconds that 95 of 100 requests may take; creating asks the product service.
const P95_MS = { create: 400, read: 150, list: 250, change: 250, cancel: 250 };

export const options = {
  scenarios: { [SCENARIO]: SCENARIOS[SCENARIO] },
  thresholds: {
    http_req_failed: [overload ? 'rate<0.05' : 'rate<0.001'],
    checks: [overload ? 'rate>0.95' : 'rate>0.999'],
    wrong_answers: ['count==0'],
    ...(overload ? {} : { dropped_iterations: ['count==0'] }),
    ...Object.fromEntries(
      OPERATIONS.map((name) => [
        `http_req_duration{operation:${name}}`,
        overload ? ['p(95)<5000'] : [`p(95)<${P95_MS[name]}`],
      ]),
    ),
    // Never failed; they are here so that the summary has the counts.
    ...Object.fromEntries(OPERATIONS.map((name) => [`http_reqs{operation:${name}}`, ['count>=0']])),
  },
  summaryTrendStats: ['min', 'med', 'p(95)', 'p(99)', 'max'],
  // The ids in the URLs must not become a time series each.
  systemTags: ['status', 'method', 'scenario', 'check', 'error_code', 'expected_response'],
};

// An answer with another content than the rules allow, as opposed to a refusal.
const wrongAnswers = new Counter('wrong_answers');

const random = (below) => Math.floor(Math.random() * below);

function call(operation, method, path, body, expected) {
  const response = http.request(method, BASE_URL + path, body === null ? null : JSON.stringify(body), {
    headers: body === null ? {} : JSON_HEADERS,
    tags: { operation },
    responseCallback: http.expectedStatuses(expected),
  });
  const answered = check(response, { [`${operation}: ${expected}`]: (r) => r.status === expected });
  return answered ? response.json() : null;
}

function demand(truth, what) {
  if (!truth) {
    wrongAnswers.add(1, { what });
    console.error(`wrong answer: ${what}`);
  }
}

function createOrder(userId) {
  const items = Array.from({ length: 1 + random(3) }, () => ({
    product_id: `p${1 + random(PRODUCTS)}`,
    quantity: 1 + random(5),
  }));
  const body = { user_id: userId, shipping_address: '1 Load Street', order_items: items };
  const answer = call('create', 'POST', '/api/orders', body, 201);
  if (!answer) return null;
  const order = answer.data;
  const cents = (amount) => Math.round(Number(amount) * 100);
  const sum = order.order_items.reduce((total, item) => total + cents(item.subtotal), 0);
  demand(order.order_items.length === items.length, 'an order has the items that were sent');
  demand(cents(order.total_amount) === sum, 'the total is the sum of the lines');
  demand(order.status === 'pending' && order.version === 1, 'a new order is pending, version 1');
  return order;
}

function read(id, status) {
  const answer = call('read', 'GET', `/api/orders/${id}`, null, 200);
  if (answer) demand(answer.data.status === status, `an order reads as it was left (${status})`);
}

function change(id, status) {
  const answer = call('change', 'PATCH', `/api/orders/${id}/status`, { status }, 200);
  if (answer) demand(answer.data.status === status, `an order becomes ${status}`);
  return answer !== null;
}

// One customer: places an order, looks at it and at the others, and then it is delivered or
// cancelled.
export default function () {
  const userId = `load-${__VU}-${random(1000)}`;
  const order = createOrder(userId);
  if (!order) return;
  read(order.id, 'pending');

  const mine = call('list', 'GET', `/api/users/${userId}/orders?page_size=5`, null, 200);
  if (mine) demand(mine.data.length > 0, 'a new order is in the list of its user');
  if (random(4) === 0) call('list', 'GET', '/api/orders?page_size=10&status=pending', null, 200);

  if (random(10) < 3) {
    const answer = call('cancel', 'POST', `/api/orders/${order.id}/cancel`, { reason: 'load test' }, 200);
    if (answer) {
      demand(answer.data.status === 'cancelled', 'an order is cancelled');
      read(order.id, 'cancelled');
    }
    return;
  }
  let left = 'pending';
  for (const next of ['confirmed', 'shipped', 'delivered']) {
    if (!change(order.id, next)) break;
    left = next;
  }
  for (let n = 0; n < 3; n += 1) read(order.id, left);
}

export function setup() {
  const response = http.get(`${BASE_URL}/health`, { tags: { operation: 'setup' } });
  if (response.status !== 200) {
    throw new Error(`nothing answers at ${BASE_URL}/health (${response.status}): is \`make up\` running?`);
  }
}

const shown = (ms) => (ms === undefined ? '-' : ms.toFixed(1)).padStart(9);

export function handleSummary(data) {
  const { metrics } = data;
  const value = (metric, key) => metrics[metric]?.values?.[key];
  const lines = [
    '',
    `${SCENARIO} on ${BASE_URL}, ${(data.state.testRunDurationMs / 1000).toFixed(1)} s`,
    '',
    `${'operation'.padEnd(10)}${['requests', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms'].map((h) => h.padStart(9)).join('')}`,
  ];
  for (const name of OPERATIONS) {
    const timing = `http_req_duration{operation:${name}}`;
    const count = value(`http_reqs{operation:${name}}`, 'count') ?? 0;
    const times = ['med', 'p(95)', 'p(99)', 'max'].map((key) => shown(value(timing, key)));
    lines.push(name.padEnd(10) + String(count).padStart(9) + times.join(''));
  }
  const rate = value('http_reqs', 'rate') ?? 0;
  const failed = 100 * (value('http_req_failed', 'rate') ?? 0);
  lines.push('', `${rate.toFixed(0)} requests/s, ${failed.toFixed(2)} % failed, ` +
    `${value('wrong_answers', 'count') ?? 0} wrong answers`);

  const broken = Object.entries(metrics).flatMap(([name, metric]) =>
    Object.entries(metric.thresholds || {})
      .filter(([, result]) => !result.ok)
      .map(([limit]) => `${name}: ${limit}`),
  );
  lines.push(broken.length ? `BROKEN LIMITS\n  ${broken.join('\n  ')}` : 'all limits kept', '');
  const out = { stdout: `${lines.join('\n')}\n` };
  if (__ENV.SUMMARY) out[__ENV.SUMMARY] = JSON.stringify(data, null, 2);
  return out;
}
