// SPDX-License-Identifier: Apache-2.0
'use strict';

// client.js pool healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS serves made-up requests over
// node-pg's pool with its default idle timeout of 10 s. The leak forgets client.release() on an
// error. One arrival in ten brings three requests at once. Each leak is told on stdout as
// "leak UNIX-SECONDS". Settings are libpq's.

const { Pool } = require('pg');

const [kind, behaviour, perMinute, seconds] = process.argv.slice(2);
const failsOneIn = behaviour === 'healthy' ? 0 : Number(behaviour.replace('leak=1/', ''));
if (kind !== 'pool' || !(failsOneIn >= 0) || !(perMinute > 0) || !(seconds > 0)) {
	console.error('client.js pool healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS');
	process.exit(2);
}
const pool = new Pool({ max: 100 });
pool.on('error', (e) => console.error(e.message));

async function placeOrder(fails) {
	const client = await pool.connect();
	const id = 1 + Math.floor(Math.random() * 900);
	await client.query('select id, item, pg_sleep(0.03) from orders where id = $1', [id]);
	if (fails) {
		console.log('leak', (Date.now() / 1000).toFixed(3));
		throw new Error('order rejected');
	}
	client.release();
}

let requests = 0;
function arrive() {
	for (let n = Math.random() < 0.1 ? 3 : 1; n > 0; n--) {
		requests++;
		placeOrder(failsOneIn > 0 && requests % failsOneIn === 0)
			.catch((e) => console.error(e.message));
	}
	// 1.2 requests an arrival
	setTimeout(arrive, -Math.log(1 - Math.random()) * 1.2 * 60e3 / perMinute);
}
arrive();
setTimeout(() => process.exit(0), seconds * 1000);
