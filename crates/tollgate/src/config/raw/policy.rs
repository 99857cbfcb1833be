//! The section `policy`: who may call what.

use crate::config::collections::{List, Sections, Table};
use crate::config::decode::{Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section};
use crate::config::issuers::Scope;
use crate::config::reading::Reading;
use crate::config::rules::{ItemPattern, ItemScopesWord, NamePattern, NetworkText, PolicyMode};
use crate::config::scalars::Text;
use crate::config::tree::{Kind, Node};
use crate::config::values::Prose;
use serde_json::{Value, json};

section! {
    /// Who may call what. Without it every caller may call everything; with it, what nothing allows is denied, and what
    /// a caller may not call does not exist for it. Deny wins over allow; the order does not matter.
    Policy {
        /// Whether it is enforced. `shadow`: everything is decided and recorded, and nothing refused or hidden.
        mode: Set<PolicyMode> = PolicyMode::Enforce,
        /// What may be done, by a name: `{ reader: { tools: ["*__get_*"] } }`. At most 1,024.
        roles: Key<Table<Role>>,
        /// Who has which role. At most 1,024, with those of `scopes`.
        bindings: Set<Sections<Binding>> = Sections::default(),
        /// What scopes of tokens allow: `{ "files:read": { tools: ["files__read_*"] } }`. A caller without the scope is
        /// told to get it.
        scopes: Key<Table<Role>>,
        /// What scopes mean that name single items: `tool:UPSTREAM__NAME`, `prompt:...`, `resource:...`, patterns
        /// included. `grant`: they allow them. `limit`: a token with any of them is limited to what they name, and they
        /// allow nothing. `ignore`: nothing.
        item_scopes: Set<ItemScopesWord> = ItemScopesWord::Grant,
    }
}

section! {
    /// What may be done. Patterns are `UPSTREAM__NAME`, with the name the upstream gave, whatever routes show it as; `*`
    /// stands for any characters, and `*` alone for everything.
    Role {
        /// Tools that are allowed.
        tools: Set<List<ItemPattern>> = List::default(),
        /// Prompts that are allowed.
        prompts: Set<List<ItemPattern>> = List::default(),
        /// Resources that are allowed, by their URIs: `files__file:///srv/docs/*`.
        resources: Set<List<ItemPattern>> = List::default(),
        /// What is denied to whoever has this, whatever else allows it: a list of tools, or keys for each kind.
        deny: Key<Denied>,
        /// Methods allowed besides those MCP defines: `[acme/report]`. Not by bindings with `when`.
        methods: Set<List<NamePattern>> = List::default(),
    }
}

section! {
    /// What is denied.
    DeniedItems {
        /// Tools that are denied.
        tools: Set<List<ItemPattern>> = List::default(),
        /// Prompts that are denied.
        prompts: Set<List<ItemPattern>> = List::default(),
        /// Resources that are denied.
        resources: Set<List<ItemPattern>> = List::default(),
    }
}

section! {
    /// Who has a role: of each key that is written, one entry must fit the caller. Without any, everybody has it.
    Binding {
        /// The role.
        role: Needed<Text>,
        /// What decisions call this binding. Default: its role and its place, as in `reader#2`.
        name: Key<Text>,
        /// Agents, by `client_id`; `anonymous` is whoever proves nothing. Patterns.
        agents: Key<List<NamePattern>>,
        /// Only those vouched for by these issuers: their names, `own`, `api-keys` or `certificates`.
        issuers: Key<List<Text>>,
        /// Users the agent acts for, by subject. Patterns.
        users: Key<List<NamePattern>>,
        /// Groups.
        groups: Key<List<Text>>,
        /// Scopes of the token. A caller that only lacks them is told to get them.
        scopes: Key<List<Scope>>,
        /// Networks the call comes from: `10.0.0.0/8`.
        addresses: Key<List<NetworkText>>,
        /// Paths of the routes it comes in by.
        routes: Key<List<Text>>,
        /// A CEL expression over `agent`, `issuer`, `user`, `groups`, `scopes`, `claims`, `address`, `route`, `upstream`,
        /// `tool`, `kind`, `method` and `args`: `args.branch != 'main'`. An error denies.
        when: Key<Prose>,
        /// What callers are told whom the condition refuses for their arguments.
        message: Key<Text>,
    }
}

/// What is denied: tools, or keys for each kind.
#[derive(Debug)]
pub(in crate::config) struct Denied(pub(in crate::config) DeniedItems);

impl Decode for Denied {
    fn decode(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        if matches!(node.kind, Kind::List(_)) {
            let tools = List::decode(node, reading)?;
            let tools = Set { value: tools, at: Some(node.at.clone()) };
            return Some(Self(DeniedItems { tools, ..DeniedItems::default() }));
        }
        DeniedItems::decode(node, reading).map(Self)
    }

    fn schema() -> Value {
        json!({ "anyOf": [List::<ItemPattern>::schema(), DeniedItems::schema()] })
    }
}
