/** How a turn ended. */
export interface TurnEnd {
  turn_id: string
  status: 'completed' | 'failed' | 'limited' | 'interrupted'
  /** What the server said about the end, where there was something to say. */
  note: string | null
  usage: TurnUsage | null
}

/** What a turn took. Null: not known. */
export interface TurnUsage {
  /** From its start to its end, people's decisions included. */
  seconds: number | null
  input_tokens: number
  output_tokens: number
  /** US dollars. */
  cost_usd: number | null
}
