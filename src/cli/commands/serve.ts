import type { Command } from 'commander'

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the server (configured by environment variables: docs/configuration.md)')
    .addHelpText(
      'after',
      `
Examples:
  cloister serve
  PORT=8080 CLOISTER_SOURCE_ROOTS=$HOME/src cloister serve
  CLOISTER_AUTH=payload CLOISTER_SOURCE_ROOTS=/workspace cloister serve      development, loopback only`,
    )
    .action(async () => {
      // Only when asked for: the server is far more to load than all of the CLI.
      const { startServer } = await import('../../main.ts')
      await startServer()
    })
}
