// postgres.js: everything prepared and pipelined.
import { createRequire } from 'node:module'
import { MASKED, SSN, equal, fails, run } from './steps.mjs'

const require = createRequire(process.env.NODE_FOLDER + '/')
const postgres = require('postgres')
const options = {
    path: `${process.env.PGHOST}/.s.PGSQL.5432`,
    user: process.env.PGUSER,
    pass: process.env.PGPASSWORD,
    database: process.env.PGDATABASE,
    onnotice: () => {},
}
const sql = postgres({ ...options, max: 3 })

const steps = {
    async query() {
        equal([...(await sql`SELECT id, name, ssn FROM people ORDER BY id`)][0], { id: 1, name: 'ada', ssn: SSN })
        equal([...(await sql`SELECT ssn FROM people WHERE id = ${1}`)], [{ ssn: SSN }])
        equal([...(await sql`SELECT id FROM people WHERE ssn = ${'top-secret'}`)], MASKED ? [] : [{ id: 1 }])
        equal([...(await sql`SELECT id FROM people WHERE id IN ${sql([1, 2, 9])} ORDER BY id`)], [{ id: 1 }, { id: 2 }])
    },
    async simple() {
        const both = await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()
        equal(both.map(rows => rows[0]), [{ a: 1 }, { b: 2 }])
        equal([...(await sql.unsafe('SELECT ssn FROM people WHERE id = $1', [1]))], [{ ssn: SSN }])
    },
    async many_at_once() {
        const all = Array.from({ length: 300 }, (_, n) => sql`SELECT ${n}::int AS n, ssn FROM people WHERE id = 1`)
        equal((await Promise.all(all)).map(rows => rows[0].n), Array.from({ length: 300 }, (_, n) => n))
    },
    async round_trips() {
        await sql`DELETE FROM things`
        const row = {
            id: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
            doc: { a: [1, { b: null }], 'ü': 'é' },
            tags: ['x', 'y,z', '"'],
            at: new Date('2024-02-29T12:30:15.123Z'),
            amount: '12345678901234567890.000100',
        }
        await sql`INSERT INTO things ${sql({ ...row, doc: sql.json(row.doc) })}`
        equal([...(await sql`SELECT id, doc, tags, at, amount FROM things`)], [row])
    },
    async describe() {
        const statement = await sql`SELECT id, ssn FROM people WHERE id = ${1}`.describe()
        equal(statement.columns.map(column => column.name), ['id', 'ssn'])
    },
    async transaction() {
        await sql`DELETE FROM things`
        await sql.begin(async sql => {
            await sql`INSERT INTO things (id, number) VALUES (gen_random_uuid(), 1)`
            await fails(sql.savepoint(sql => sql`SELECT 1/0`), '22012')
            await sql`INSERT INTO things (id, number) VALUES (gen_random_uuid(), 3)`
        })
        equal([...(await sql`SELECT number FROM things ORDER BY 1`)], [{ number: 1 }, { number: 3 }])
    },
    async cursor() {
        const seen = []
        await sql`SELECT id, ssn FROM people ORDER BY id`.cursor(1, ([row]) => { seen.push(row.id) })
        equal(seen, [1, 2])
    },
    async copy() {
        await sql`DELETE FROM things`
        const { pipeline } = await import('node:stream/promises')
        const { Readable } = await import('node:stream')
        const lines = Array.from({ length: 500 }, (_, n) => `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\t${n}\n`)
        await pipeline(Readable.from(lines), await sql`COPY things (id, number) FROM STDIN`.writable())
        equal([...(await sql`SELECT count(*)::int AS n FROM things`)], [{ n: 500 }])
        let text = ''
        for await (const piece of await sql`COPY people (id, ssn) TO STDOUT`.readable()) text += piece
        equal(text, MASKED ? '1\t[masked]\n2\t[masked]\n' : '1\ttop-secret\n2\ttop-secret-2\n')
    },
    async large_object() {
        if (MASKED) return await fails(sql.largeObject(), '42501')
        const object = await sql.largeObject()
        const written = Buffer.alloc(50_000, 'abc')
        await object.write(written)
        await object.seek(10)
        const [{ data }] = await object.read(written.length)
        equal(data.equals(written.subarray(10)), true)
        equal([...(await object.tell())].map(row => Object.values(row)[0]), [String(written.length)])
        await object.close()
    },
    async errors() {
        await fails(sql`SELECT nothing FROM people`, '42703')
        await fails(sql`SELECT ssn::int FROM people`, '22P02')
        equal([...(await sql`SELECT 1 AS a`)], [{ a: 1 }])
    },
    async cancellation() {
        const sleeping = sql`SELECT pg_sleep(30)`.execute()
        setTimeout(() => sleeping.cancel(), 500)
        await fails(sleeping, '57014')
    },
    ...(MASKED ? {} : {
        async notifications() {
            let tell
            const heard = new Promise(resolve => { tell = resolve })
            await sql.listen('news', tell)
            await sql.notify('news', 'hello')
            equal(await heard, 'hello')
        },
    }),
    async end() {
        await sql.end({ timeout: 5 })
    },
}
run(steps)
