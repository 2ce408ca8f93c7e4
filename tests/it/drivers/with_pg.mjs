// node-postgres.
import { createRequire } from 'node:module'
import { MASKED, SSN, equal, fails, run, show } from './steps.mjs'

const require = createRequire(process.env.NODE_FOLDER + '/')
const pg = require('pg')
const client = new pg.Client()
client.on('error', error => show(error.message))

const steps = {
    async connect() {
        await client.connect()
    },
    async simple() {
        equal((await client.query('SELECT id, name, ssn FROM people ORDER BY id')).rows[0], { id: 1, name: 'ada', ssn: SSN })
        const both = await client.query('SELECT 1 AS a; SELECT 2 AS b')
        equal(both.map(result => result.rows[0]), [{ a: 1 }, { b: 2 }])
    },
    async parametrised() {
        equal((await client.query('SELECT ssn FROM people WHERE id = $1', [1])).rows, [{ ssn: SSN }])
        equal((await client.query('SELECT id FROM people WHERE ssn = $1', ['top-secret'])).rows, MASKED ? [] : [{ id: 1 }])
        equal((await client.query('SELECT $1::text AS a, $2::int[] AS b', [null, [1, 2]])).rows, [{ a: null, b: [1, 2] }])
    },
    async named() {
        for (let n = 0; n < 50; n++) {
            const query = { name: 'of-people', text: 'SELECT ssn, $2::int AS n FROM people WHERE id = $1', values: [1, n] }
            equal((await client.query(query)).rows, [{ ssn: SSN, n }])
        }
    },
    async binary() {
        const result = await client.query({ text: 'SELECT id, ssn FROM people WHERE id = $1', values: [1], binary: true })
        equal(result.rows, [{ id: 1, ssn: SSN }])
    },
    async arrays() {
        equal((await client.query({ text: 'SELECT id, ssn FROM people ORDER BY id LIMIT 1', rowMode: 'array' })).rows, [[1, SSN]])
    },
    async many_at_once() {
        const all = Array.from({ length: 100 }, (_, n) => client.query('SELECT $1::int AS n', [n]))
        equal((await Promise.all(all)).map(result => result.rows[0].n), Array.from({ length: 100 }, (_, n) => n))
    },
    async round_trips() {
        await client.query('DELETE FROM things')
        const row = {
            id: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
            doc: { a: [1, { b: null }], 'ü': 'é' },
            tags: ['x', 'y,z', null, '"'],
            at: new Date('2024-02-29T12:30:15.123Z'),
            amount: '12345678901234567890.000100',
        }
        await client.query('INSERT INTO things (id, doc, tags, at, amount, raw) VALUES ($1, $2, $3, $4, $5, $6)', [...Object.values(row), Buffer.from([0, 255, 1])])
        const found = (await client.query('SELECT id, doc, tags, at, amount, raw FROM things')).rows[0]
        equal([...found.raw], [0, 255, 1])
        delete found.raw
        equal(found, row)
    },
    async transaction() {
        await client.query('DELETE FROM things')
        await client.query('BEGIN')
        await client.query('INSERT INTO things (id, number) VALUES (gen_random_uuid(), $1)', [1])
        await client.query('SAVEPOINT a')
        await fails(client.query('SELECT 1/0'), '22012')
        await fails(client.query('SELECT 1'), '25P02')
        await client.query('ROLLBACK TO SAVEPOINT a')
        await client.query('COMMIT')
        equal((await client.query('SELECT number FROM things')).rows, [{ number: 1 }])
    },
    async large_object() {
        const made = client.query('SELECT lo_from_bytea(0, $1) AS oid', [Buffer.from([0, 255, 1])])
        if (MASKED) return await fails(made, '42501')
        const { oid } = (await made).rows[0]
        equal([...(await client.query('SELECT lo_get($1) AS found', [oid])).rows[0].found], [0, 255, 1])
        await client.query('SELECT lo_unlink($1)', [oid])
    },
    async errors() {
        await fails(client.query('SELECT nothing FROM people'), '42703')
        await fails(client.query('SELECT ssn::int FROM people WHERE id = 1 AND $1', [true]), '22P02').catch(error => {
            // an unmasked database may quote the value
            if (MASKED) throw error
        })
        equal((await client.query('SELECT 1 AS a')).rows, [{ a: 1 }])
    },
    async timeout() {
        await client.query("SET statement_timeout = '200ms'")
        await fails(client.query('SELECT pg_sleep(30)'), '57014')
        await client.query('SET statement_timeout = 0')
    },
    async cancellation() {
        const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
        show(rows)
        const sleeping = client.query('SELECT pg_sleep(30)')
        const other = new pg.Client()
        setTimeout(() => other.cancel(client, client._activeQuery ?? client.activeQuery), 500)
        await fails(sleeping, '57014')
    },
    async pool() {
        const pool = new pg.Pool({ max: 4 })
        const all = Array.from({ length: 40 }, () => pool.query('SELECT ssn FROM people WHERE id = $1', [1]))
        equal(new Set((await Promise.all(all)).map(result => result.rows[0].ssn)), new Set([SSN]))
        await pool.end()
    },
    ...(MASKED ? {} : {
        async notifications() {
            const heard = new Promise(resolve => client.once('notification', resolve))
            await client.query('LISTEN news')
            const other = new pg.Client()
            await other.connect()
            await other.query("NOTIFY news, 'hello'")
            await other.end()
            equal((await heard).payload, 'hello')
        },
    }),
    async end() {
        await client.end()
    },
}
run(steps)
