//! Networks, addresses, volumes and gates at once: one boathook that is every kind of plugin.

mod boot;
mod figures;
mod house;
mod killed;
mod life;
