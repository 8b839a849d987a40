/** What is called on the vault, on tokens and on the list of roots. The contracts are in `contracts/src`. */

const ACCOUNT = { name: "account", type: "address" } as const;
const TOKEN = { name: "token", type: "address" } as const;
const AMOUNT = { name: "amount", type: "uint256" } as const;
const NUMBER = [{ name: "", type: "uint256" }] as const;

export const VAULT_ABI = [
  { type: "function", name: "depositNative", stateMutability: "payable", inputs: [ACCOUNT], outputs: NUMBER },
  { type: "function", name: "deposit", stateMutability: "nonpayable", inputs: [ACCOUNT, TOKEN, AMOUNT], outputs: NUMBER },
  {
    type: "function",
    name: "depositWithPermit",
    stateMutability: "nonpayable",
    inputs: [
      ACCOUNT,
      TOKEN,
      AMOUNT,
      { name: "deadline", type: "uint256" },
      { name: "v", type: "uint8" },
      { name: "r", type: "bytes32" },
      { name: "s", type: "bytes32" },
    ],
    outputs: NUMBER,
  },
  {
    type: "function",
    name: "claim",
    stateMutability: "nonpayable",
    inputs: [TOKEN, { name: "destination", type: "address" }],
    outputs: NUMBER,
  },
  { type: "function", name: "claimable", stateMutability: "view", inputs: [ACCOUNT, TOKEN], outputs: NUMBER },
  { type: "function", name: "accounted", stateMutability: "view", inputs: [TOKEN], outputs: NUMBER },
] as const;

const HOLDER = { name: "holder", type: "address" } as const;
const SPENDER = { name: "spender", type: "address" } as const;
const TEXT = [{ name: "", type: "string" }] as const;

export const TOKEN_ABI = [
  { type: "function", name: "balanceOf", stateMutability: "view", inputs: [HOLDER], outputs: NUMBER },
  { type: "function", name: "allowance", stateMutability: "view", inputs: [HOLDER, SPENDER], outputs: NUMBER },
  {
    type: "function",
    name: "approve",
    stateMutability: "nonpayable",
    inputs: [SPENDER, AMOUNT],
    outputs: [{ name: "", type: "bool" }],
  },
  { type: "function", name: "nonces", stateMutability: "view", inputs: [HOLDER], outputs: NUMBER },
  {
    type: "function",
    name: "DOMAIN_SEPARATOR",
    stateMutability: "view",
    inputs: [],
    outputs: [{ name: "", type: "bytes32" }],
  },
  { type: "function", name: "name", stateMutability: "view", inputs: [], outputs: TEXT },
  { type: "function", name: "version", stateMutability: "view", inputs: [], outputs: TEXT },
  { type: "function", name: "symbol", stateMutability: "view", inputs: [], outputs: TEXT },
  {
    type: "function",
    name: "decimals",
    stateMutability: "view",
    inputs: [],
    outputs: [{ name: "", type: "uint8" }],
  },
] as const;

export const ROOTS_ABI = [
  { type: "function", name: "count", stateMutability: "view", inputs: [], outputs: NUMBER },
  {
    type: "function",
    name: "rootAt",
    stateMutability: "view",
    inputs: [{ name: "index", type: "uint256" }],
    outputs: [
      { name: "root", type: "bytes32" },
      { name: "seq", type: "uint64" },
      { name: "blockNumber", type: "uint64" },
      { name: "publishedAt", type: "uint64" },
    ],
  },
] as const;

/** How the chain's own coin is written where a token is expected. */
export const NATIVE = "0x0000000000000000000000000000000000000000";
