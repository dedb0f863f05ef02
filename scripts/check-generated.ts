import { readdirSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

/**
 * Compares every generated file with what its generator gives now. A generator is `generate-*.ts` in this folder and exports a
 * path in a constant `..._FILE` and a function `generate...` that makes the file's content. Exits with 1 if one differs.
 */
const root = new URL('..', import.meta.url).pathname
const generators = readdirSync(import.meta.dirname).filter((name) => /^generate-.*(?<!\.test)\.ts$/.test(name))

for (const name of generators.sort()) {
  const module: Record<string, unknown> = await import(`./${name}`)
  const file = Object.entries(module).find(([key]) => key.endsWith('_FILE'))?.[1]
  const generate = Object.entries(module).find(([key]) => key.startsWith('generate'))?.[1]
  if (typeof file !== 'string' || typeof generate !== 'function')
    throw new Error(`scripts/${name} does not export ..._FILE and generate...`)
  if (contentOf(file) === (await generate())) continue
  process.stderr.write(
    `${relative(root, file)} is not what scripts/${name} makes now: run node scripts/${name} and commit the result\n`,
  )
  process.exitCode = 1
}

function contentOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
