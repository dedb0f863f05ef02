import { defineConfig } from 'vitest/config'

/**
 * Three projects. unit: beside what they test. conformance: one suite per interface, run on every implementation.
 * e2e: the whole server as a process.
 */
export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    globalSetup: ['test/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    coverage: {
      provider: 'v8',
      // What is enough is for scripts/coverage/check.ts to say, which knows of host as well.
      reporter: ['json'],
      // scripts/test.ts has done it, and put a folder there since.
      clean: false,
      include: ['src/**/*.ts'],
      exclude: ['**/*.{test,conformance,sample,fixture}.ts', '**/*-cases.ts', 'src/sandbox/conformance/**'],
    },
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts', 'scripts/**/*.test.ts'] } },
      {
        extends: true,
        test: { name: 'conformance', include: ['src/**/*.conformance.ts', 'test/conformance/**/*.conformance.ts'] },
      },
      { extends: true, test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], fileParallelism: false } },
    ],
  },
})
