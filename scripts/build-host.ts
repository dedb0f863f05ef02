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

/** The same for the program that keeps a connector's server running in a sandbox. */
export async function buildConnectorBridge(outFile: string): Promise<void> {
  await build({
    input: fileURLToPath(new URL('../src/connectors/stdio/bridge.ts', import.meta.url)),
    platform: 'node',
    logLevel: 'warn',
    output: { file: outFile, format: 'esm', codeSplitting: false, minify: true },
  })
}

if (import.meta.main) {
  const host = fileURLToPath(new URL('../dist/host.mjs', import.meta.url))
  const bridge = fileURLToPath(new URL('../dist/connector-bridge.mjs', import.meta.url))
  await Promise.all([buildHost(host), buildConnectorBridge(bridge)])
  console.log(`built ${host} and ${bridge}`)
}
