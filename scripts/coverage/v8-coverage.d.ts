/** The part that is used: the package has no types of its own. */
declare module '@bcoe/v8-coverage' {
  import type { Profiler } from 'node:inspector'

  /** What one process wrote. */
  export interface ProcessCov {
    result: Profiler.ScriptCoverage[]
  }
  /** Adds up what several processes counted of the same scripts. */
  export function mergeProcessCovs(processes: ProcessCov[]): ProcessCov
}
