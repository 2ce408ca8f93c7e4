// Runs steps, says how each ended, and repeats all that was received: the caller looks for the secret
// in what is printed here.
import assert from 'node:assert/strict'

export const MASKED = process.argv[2] === 'masked'
export const SSN = MASKED ? '[masked]' : 'top-secret'

export function show(value) {
    console.log('received', JSON.stringify(value))
    return value
}

export function equal(found, wanted) {
    show(found)
    assert.deepEqual(found, wanted)
}

export async function fails(work, code) {
    const error = await work.then(() => undefined, error => error)
    assert(error, 'no error')
    show({ ...error, message: error.message })
    assert.equal(error.code, code)
}

export async function run(steps) {
    let failed = 0
    for (const [name, step] of Object.entries(steps)) {
        let timer
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error('too slow')), 60_000)
        })
        try {
            await Promise.race([step(), late])
            console.log('ok    ', name)
        } catch (error) {
            failed += 1
            console.log('FAILED', name, error)
        }
        clearTimeout(timer)
    }
    process.exit(failed > 0 ? 1 : 0)
}
