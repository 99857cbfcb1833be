//! What a policy is made of, checked and complete: the binary builds it from the file.

use tollgate_core::party::ItemKind;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::who::Who;

/// A policy. What it does not allow is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// Whether it is enforced.
    pub mode: Mode,
    /// The roles, in the order of the file.
    pub roles: Vec<RoleSettings>,
    /// Who has which role, in the order of the file.
    pub bindings: Vec<BindingSettings>,
    /// What scopes of credentials allow, in the order of the file.
    pub scopes: Vec<ScopeSettings>,
    /// What scopes that name single items (`tool:UPSTREAM__NAME`) mean.
    pub item_scopes: ItemScopes,
}

/// Whether a policy is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// Everything is decided and recorded, and nothing refused or hidden.
    Shadow,
}

/// What may be done: allowed, and of that denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Items that are allowed.
    pub allow: Vec<(ItemKind, ItemGlob)>,
    /// Items that are denied to whoever has this, whatever else allows them.
    pub deny: Vec<(ItemKind, ItemGlob)>,
    /// Methods allowed besides those MCP defines (`vendor/*`). Patterns of method names.
    pub methods: Vec<tollgate_rules::glob::Glob>,
}

/// A named set of rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSettings {
    /// Its name.
    pub name: String,
    /// Its rights.
    pub grant: Grant,
}

/// Who has a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingSettings {
    /// What decisions call it: the role's name and the binding's place in the file, unless named.
    pub name: String,
    /// The role: a name of [`PolicySettings::roles`].
    pub role: String,
    /// Who.
    pub who: Who,
    /// A CEL expression that must be true. An error denies: what the role allows is then not allowed,
    /// and what it denies is denied.
    pub when: Option<String>,
    /// What callers are told whom the condition refuses; the operator's words.
    pub message: Option<String>,
}

/// What a scope allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeSettings {
    /// The scope.
    pub scope: String,
    /// Its rights.
    pub grant: Grant,
}

/// What scopes that name single items mean: `tool:UPSTREAM__NAME`, `prompt:…`, `resource:…`, patterns
/// included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemScopes {
    /// They allow the item.
    #[default]
    Grant,
    /// A credential with any of them is limited to what they name; they allow nothing by themselves.
    Limit,
    /// Nothing.
    Ignore,
}
