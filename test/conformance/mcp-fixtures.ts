import { z } from 'zod'
import { defineTool, type Tool, type ToolContext } from '../../src/catalog/define-tool.ts'
import { ToolError } from '../../src/domain/errors.ts'

/** What the suite calls, as tools of a catalog like any other: named by its rules, run by the gate. */

function fixture(
  name: string,
  description: string,
  handler: (context: ToolContext) => Promise<string>,
  fields: { approval?: boolean } = {},
): Tool {
  return defineTool({
    name,
    description,
    input: z.object({}),
    output: z.object({ text: z.string() }),
    scope: 'workspace',
    side_effects: 'none',
    risk_level: 'low',
    requires_approval: fields.approval ?? false,
    timeout_seconds: 10,
    errors: ['execution_failed'],
    examples: [{ title: 'Any', args: {} }],
    handler: async (_, context) => ({ output: { text: await handler(context) } }),
  })
}

const printing = async ({ sandbox }: ToolContext) => {
  const { stdout } = await sandbox.run(['sh', '-c', 'for i in 1 2 3; do echo "part $i"; sleep 0.1; done'])
  return stdout
}

/** As the suite has it: what is to come through the list of tools unchanged. */
const SCHEMA_2020_12 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // biome-ignore lint/suspicious/noThenProperty: it is a word of JSON Schema
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
}

/** A tool of which the catalog says this schema; what it takes is checked by the gate's own. */
function withSchema(tool: Tool, input_schema: Record<string, unknown>): Tool {
  return { ...tool, metadata: { ...tool.metadata, input_schema } }
}

export const FIXTURES: Tool[] = [
  fixture('test.simple_text', 'Answers with a text.', async () => 'This is a simple text response for testing.'),
  fixture('test.error_handling', 'Fails.', async () => {
    throw new ToolError('execution_failed', 'This tool intentionally returns an error for testing')
  }),
  fixture('test.tool_with_progress', 'Prints while it runs.', printing),
  // What it logs must not come as a log message that nobody asked for. It starts no sandbox: the suite waits half a second.
  fixture('test.logging_tool', 'Logs while it runs.', async ({ log }) => {
    for (const part of ['one', 'two', 'three']) log(part)
    return 'logged'
  }),
  // It needs a person, and its client says that it can ask one: still nothing may be asked on the stream.
  fixture('test.streaming_elicitation', 'Needs an approval.', async () => 'approved', { approval: true }),
  withSchema(
    fixture('json.schema_2020_12_tool', 'Has a schema with everything.', async () => 'ok'),
    SCHEMA_2020_12,
  ),
]
