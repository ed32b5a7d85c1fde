//! The window's parts: each a function of what it shows, which returns what the user asks for.

pub mod bar;
pub mod cascade;
pub mod controls;
pub mod help;
pub mod picture;
pub mod source;
pub mod speed;
