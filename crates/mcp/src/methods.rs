//! The methods the gate understands. Everything else is carried, classified as [`Method::Other`].

/// A JSON-RPC method, as far as the gate treats it specially.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `initialize` (legacy).
    Initialize,
    /// `notifications/initialized` (legacy).
    Initialized,
    /// `ping` (legacy).
    Ping,
    /// `notifications/cancelled`.
    Cancelled,
    /// `server/discover` (modern).
    Discover,
    /// `subscriptions/listen` (modern).
    Listen,
    /// `tools/list`.
    ToolsList,
    /// `tools/call`.
    ToolsCall,
    /// `prompts/list`.
    PromptsList,
    /// `prompts/get`.
    PromptsGet,
    /// `resources/list`.
    ResourcesList,
    /// `resources/templates/list`.
    ResourceTemplatesList,
    /// `resources/read`.
    ResourcesRead,
    /// `resources/subscribe` (legacy).
    Subscribe,
    /// `resources/unsubscribe` (legacy).
    Unsubscribe,
    /// `logging/setLevel` (legacy).
    SetLevel,
    /// `completion/complete`.
    Complete,
    /// `tasks/get`.
    TasksGet,
    /// `tasks/update` (modern extension).
    TasksUpdate,
    /// `tasks/cancel`.
    TasksCancel,
    /// `tasks/result` (legacy).
    TasksResult,
    /// Any other method.
    Other,
}

/// The parameter that names what a method acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
    /// `params.taskId`.
    TaskId,
}

impl Method {
    /// Classifies a decoded method name; compared byte for byte.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "initialize" => Self::Initialize,
            "notifications/initialized" => Self::Initialized,
            "ping" => Self::Ping,
            "notifications/cancelled" => Self::Cancelled,
            "server/discover" => Self::Discover,
            "subscriptions/listen" => Self::Listen,
            "tools/list" => Self::ToolsList,
            "tools/call" => Self::ToolsCall,
            "prompts/list" => Self::PromptsList,
            "prompts/get" => Self::PromptsGet,
            "resources/list" => Self::ResourcesList,
            "resources/templates/list" => Self::ResourceTemplatesList,
            "resources/read" => Self::ResourcesRead,
            "resources/subscribe" => Self::Subscribe,
            "resources/unsubscribe" => Self::Unsubscribe,
            "logging/setLevel" => Self::SetLevel,
            "completion/complete" => Self::Complete,
            "tasks/get" => Self::TasksGet,
            "tasks/update" => Self::TasksUpdate,
            "tasks/cancel" => Self::TasksCancel,
            "tasks/result" => Self::TasksResult,
            _ => Self::Other,
        }
    }

    /// Which parameter names the target, for methods that must mirror it in `Mcp-Name`.
    ///
    /// SPEC: 2026-07-28 basic/transports/streamable-http, Request Metadata; the tasks extension for
    /// `taskId`.
    #[must_use]
    pub const fn target(self) -> Option<Target> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some(Target::Name),
            Self::ResourcesRead => Some(Target::Uri),
            Self::TasksGet | Self::TasksUpdate | Self::TasksCancel => Some(Target::TaskId),
            Self::Initialize
            | Self::Initialized
            | Self::Ping
            | Self::Cancelled
            | Self::Discover
            | Self::Listen
            | Self::ToolsList
            | Self::PromptsList
            | Self::ResourcesList
            | Self::ResourceTemplatesList
            | Self::Subscribe
            | Self::Unsubscribe
            | Self::SetLevel
            | Self::Complete
            | Self::TasksResult
            | Self::Other => None,
        }
    }

    /// Whether this reads a page of a list.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::ToolsList | Self::PromptsList | Self::ResourcesList | Self::ResourceTemplatesList
        )
    }

    /// Whether the modern revision took this method away.
    ///
    /// SPEC: 2026-07-28 basic/index: unimplemented methods are 404 with -32601; changelog: removed.
    #[must_use]
    pub const fn is_legacy_only(self) -> bool {
        matches!(
            self,
            Self::Initialize | Self::Ping | Self::SetLevel | Self::Subscribe | Self::Unsubscribe
        )
    }

    /// Whether complete results of this method must carry `ttlMs` and `cacheScope`.
    ///
    /// SPEC: 2026-07-28 server/utilities/caching.
    #[must_use]
    pub const fn is_cacheable(self) -> bool {
        matches!(
            self,
            Self::Discover
                | Self::ToolsList
                | Self::PromptsList
                | Self::ResourcesList
                | Self::ResourceTemplatesList
                | Self::ResourcesRead
        )
    }
}
