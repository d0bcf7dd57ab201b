//! Networks, addresses, volumes and gates at once, as an operator has them: one boathook, every kind of plugin.

mod boot;
mod figures;
mod house;
mod killed;
mod life;
