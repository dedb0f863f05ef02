import { CliError } from '../../cli-error.ts'
import { EXIT } from '../../exit-codes.ts'

type Main = typeof import('../../../main.ts')

/**
 * Runs what decides offline. Only when asked for: it is far more to load than all of the CLI.
 * @throws CliError when policies or tests cannot be used: a line for each problem
 */
export async function usable<T>(work: (main: Main) => Promise<T>): Promise<T> {
  const main = await import('../../../main.ts')
  try {
    return await work(main)
  } catch (error) {
    if (!(error instanceof main.PolicySetError)) throw error
    throw new CliError('invalid_policy', EXIT.usage, error.message, 'how policies and their tests are written: docs/policy.md')
  }
}
