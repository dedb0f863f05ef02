/** What the agent of a session may use. Null: no limit. */
export interface Budget {
  /** Model calls that answered. */
  steps: number | null
  /** What went in and came out, together; what a provider had cached counts like the rest. */
  tokens: number | null
  /** US dollars, by the prices in `CLOISTER_CONFIG`. */
  cost_usd: number | null
  /** Wall time in which a turn ran, without the time spent waiting for people. */
  seconds: number | null
}

/** For each turn, and for all turns of a session together. */
export interface Budgets {
  turn: Budget
  session: Budget
}

/** What was used of a budget, in its units. */
export type Spent = { [Item in keyof Budget]: number }

export const NO_BUDGET: Budget = Object.freeze({ steps: null, tokens: null, cost_usd: null, seconds: null })
export const NOTHING_SPENT: Spent = Object.freeze({ steps: 0, tokens: 0, cost_usd: 0, seconds: 0 })

/** Item by item the lower one: who asks for more than the server allows gets what the server allows. */
export function stricterBudget(a: Budget, b: Budget): Budget {
  const lower = (item: keyof Budget) => {
    const [one, other] = [a[item], b[item]]
    return one === null ? other : other === null ? one : Math.min(one, other)
  }
  return { steps: lower('steps'), tokens: lower('tokens'), cost_usd: lower('cost_usd'), seconds: lower('seconds') }
}

export function addSpent(a: Spent, b: Spent): Spent {
  return {
    steps: a.steps + b.steps,
    tokens: a.tokens + b.tokens,
    cost_usd: a.cost_usd + b.cost_usd,
    seconds: a.seconds + b.seconds,
  }
}

/** What was spent since `before`. */
export function spentSince(before: Spent, now: Spent): Spent {
  return {
    steps: now.steps - before.steps,
    tokens: now.tokens - before.tokens,
    cost_usd: now.cost_usd - before.cost_usd,
    seconds: now.seconds - before.seconds,
  }
}

/** Which item is used up, in words that name it; null: there is some left of everything. */
export function reachedLimit(whose: keyof Budgets, budget: Budget, spent: Spent): string | null {
  const may = whose === 'turn' ? 'one turn may' : 'all turns of its session together may'
  const items: Record<keyof Budget, (amount: number) => string> = {
    steps: (limit) => `${may} make at most ${limit} model calls`,
    tokens: (limit) => `${may} use at most ${limit} tokens, and ${spent.tokens} are used`,
    cost_usd: (limit) => `${may} cost at most ${dollars(limit)}, and ${dollars(spent.cost_usd)} are spent`,
    seconds: (limit) => `${may} take at most ${limit} s`,
  }
  for (const item of Object.keys(items) as (keyof Budget)[]) {
    const limit = budget[item]
    if (limit !== null && spent[item] >= limit) return `the turn was stopped: ${items[item](limit)}`
  }
  return null
}

/** Why a budget in money cannot hold for a model. */
export function unknownPrice(model: string): string {
  return `what ${model} costs is not known: give its price in CLOISTER_CONFIG (models.${model}.price), or leave the budget in money out`
}

function dollars(amount: number): string {
  return `US$ ${amount.toFixed(amount < 1 ? 4 : 2)}`
}
