/** Builds what tests run: the host bundle. */
export default async function setup(): Promise<void> {}
