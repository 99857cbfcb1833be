//! The data plane: from a connection to an upstream and back.
//!
//! The tour follows one request. A reader who wants the whole of it starts at [`path`].

pub mod settings;

pub mod gate;

pub mod snapshot;

pub mod drain;

pub mod listen;

pub mod path;

pub mod ledger;

pub mod names;

pub mod cors;

pub mod call;

pub mod subject;

mod absence;

mod tasks;

pub mod frame;

pub mod identify;

mod aside;

pub mod annex;

pub mod permit;

pub mod admit;

pub mod meter;

pub mod route;

mod inquiry;

pub mod probe;

pub mod listing;

pub mod knowledge;

pub mod pins;

pub mod roster;

pub mod seal;

pub mod session;

pub mod soft;

pub mod recovery;

pub mod generation;

pub mod farewell;

pub mod forward;

pub mod hub;

pub mod upstream;

pub mod ward;

pub mod expect;

pub mod relay;

pub mod http_sse;

pub mod streams;

pub mod leash;

pub mod body;

pub mod reply;

pub mod system;
