import { defineTool, type Tool, type ToolContext } from '../catalog/define-tool.ts'
import type { Connector, ListedTool, ToolDeclaration } from '../domain/connector.ts'
import { toolListDigest } from '../domain/connector.ts'
import { errors, ToolError } from '../domain/errors.ts'
import { withoutHidden } from '../domain/hidden-text.ts'
import { argumentSchema, UnusableSchema } from './argument-schema.ts'
import { connectorOutput, readCallResult } from './call-result.ts'
import type { ConnectorClient, ListObserver } from './connector-client.ts'
import { ConnectorFault } from './connector-fault.ts'
import { connectorToolNames } from './tool-names.ts'

const NAME = /^[A-Za-z0-9_./-]{1,128}$/
const LONGEST_DESCRIPTION = 4000
/** What is left of a call's time for the way there and back. */
const MARGIN_MS = 1000

export interface ConnectorToolParts {
  client: ConnectorClient
  onOtherList: ListObserver
}

/** One tool of a list, and what becomes of it. */
export interface ListedFate {
  tool: ListedTool
  /** Ours; null: it does not become a tool. */
  name: string | null
  /** Null: it is offered. `not allowed` is by far the most common. */
  problem: string | null
}

/**
 * What of a reviewed list becomes tools: those that the configuration names, and that can be one. Pure. What is listed and not named
 * is not there.
 * @param refused why none of them may be called now; null: they may
 */
export function connectorTools(
  connector: Connector,
  listed: readonly ListedTool[],
  refused: string | null,
  parts: ConnectorToolParts,
): { tools: Tool[]; fates: ListedFate[]; missing: string[] } {
  const digest = toolListDigest(listed)
  const names = connectorToolNames(
    connector.name,
    listed.map(({ name }) => name).filter((name) => Object.hasOwn(connector.tools, name)),
  )
  const tools: Tool[] = []
  const fates = listed.map((tool): ListedFate => {
    const declared = Object.hasOwn(connector.tools, tool.name) ? connector.tools[tool.name] : undefined
    if (!declared) return { tool, name: null, problem: 'not allowed: the configuration does not name it' }
    const name = names.get(tool.name) as string
    try {
      tools.push(makeTool({ connector, listed: tool, name, declared, digest, refused, parts }))
      return { tool, name, problem: null }
    } catch (error) {
      if (!(error instanceof UnusableSchema)) throw error
      return { tool, name: null, problem: error.message }
    }
  })
  const missing = Object.keys(connector.tools).filter((name) => !listed.some((tool) => tool.name === name))
  return { tools, fates, missing }
}

interface Making {
  connector: Connector
  listed: ListedTool
  name: string
  declared: ToolDeclaration
  digest: string
  refused: string | null
  parts: ConnectorToolParts
}

/** @throws UnusableSchema for what cannot be a tool of ours */
function makeTool(making: Making): Tool {
  const { connector, listed, name, declared, digest, refused } = making
  const { source } = connector
  if (!NAME.test(listed.name)) throw new UnusableSchema('its name has characters that no name needs')
  const description = describe(listed)
  const { input, open } = argumentSchema(listed.input_schema)
  const tool = defineTool({
    name,
    description,
    input,
    output: connectorOutput,
    ...declared,
    // One in the sandbox has the session's files, and what its arguments mean only its server knows.
    policy: { needs_network: source.kind === 'stdio' && source.network, writes_anywhere: source.kind === 'stdio' },
    primary_output: 'text',
    errors: ['execution_failed'],
    examples: [],
    handler: (args, context) => handle(making, args, context),
  })
  return {
    ...tool,
    ...(open && { input }),
    metadata: {
      ...tool.metadata,
      ...(open && { input_schema: { ...tool.metadata.input_schema, additionalProperties: true } }),
      connector: { name: connector.name, tool: listed.name, digest, refused },
    },
  }
}

function describe({ title, description, name }: ListedTool): string {
  const text = [title, description].filter((each) => each !== null && each !== '').join(': ')
  if (text.length > LONGEST_DESCRIPTION)
    throw new UnusableSchema(`its description has more than ${LONGEST_DESCRIPTION} characters`)
  const plain = withoutHidden(text).trim()
  return plain === '' ? `The tool ${name}, which its server does not describe.` : plain
}

async function handle(
  { connector, listed, name, declared, digest, parts }: Making,
  args: Record<string, unknown>,
  context: ToolContext,
): Promise<ReturnType<typeof readCallResult>> {
  const repeatable = declared.side_effects === 'none'
  const timeout_ms = Math.max(MARGIN_MS, declared.timeout_seconds * 1000 - MARGIN_MS)
  try {
    const answer = await parts.client.call({ connector, tool: listed, args, digest, repeatable, timeout_ms }, context)
    if ('listed' in answer)
      throw errors.policyDenied('connector_review', await parts.onOtherList(connector, answer.listed, context.session.id))
    return readCallResult(answer.result)
  } catch (error) {
    if (!(error instanceof ConnectorFault)) throw error
    throw toolError(error, connector.name, name, repeatable)
  }
}

function toolError(fault: ConnectorFault, connector: string, tool: string, repeatable: boolean): ToolError {
  const message = `the connector ${connector}: ${fault.message}`
  if (fault.code === 'timeout') return new ToolError('timeout', `${tool}: ${fault.message}`, { exitCode: 124, cause: fault })
  if (fault.code === 'lost' && !repeatable)
    return new ToolError('unknown_outcome', `${message}. It may have acted: look before you repeat it`, { cause: fault })
  return new ToolError('execution_failed', message, { cause: fault })
}
