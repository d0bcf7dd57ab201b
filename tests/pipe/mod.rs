//! `docker run` and `docker rm` run scripts on a real engine.

mod addresses;
mod boot;
mod by_hand;
mod conditions;
mod config;
mod debts;
mod differences;
mod fast_path;
mod gates;
mod http;
mod launch;
mod life;
mod mounts;
mod nested;
mod outages;
mod points;
mod reconcile;
mod runs;
mod server;
mod service;
mod starts;
mod storm;
mod together;
mod within;
mod world;
