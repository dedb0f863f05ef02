import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'

/** Bundles host into one JavaScript file without dependencies. `outFile`: absolute, its directory is made. */
export async function buildHost(outFile: string): Promise<void> {
  await build({
    input: fileURLToPath(new URL('../src/host/main.ts', import.meta.url)),
    platform: 'node',
    logLevel: 'warn',
    output: { file: outFile, format: 'esm', codeSplitting: false },
  })
}

if (import.meta.main) {
  const outFile = fileURLToPath(new URL('../dist/host.mjs', import.meta.url))
  await buildHost(outFile)
  console.log(`built ${outFile}`)
}
