import type { ToolSetting } from '../domain/tool.ts'
import type { Catalog } from './catalog.ts'

/**
 * The tools that this server offers: those that need a setting only where it is on. What is not offered does not exist: it is in no
 * listing, and a call of it is a call of an unknown tool.
 */
export function offeredTools(catalog: Catalog, settings: Readonly<Record<ToolSetting, boolean>>): Catalog {
  const tools = catalog.list().filter(({ metadata }) => {
    const setting = metadata.policy.needs_setting
    return setting === null || settings[setting] === true
  })
  const byName = new Map(tools.map((tool) => [tool.metadata.name, tool]))
  return Object.freeze({ list: () => [...tools], get: (name: string) => byName.get(name) ?? null })
}
