//! An engine finds a plugin by the files that this crate writes.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use docker_plugin_sdk::discovery::{Address, Authority, Roots, Spec, Tls, find, scan};

use crate::engine::{DockerdOptions, Generation, Sandbox};
use crate::every_engine::on_every_engine;
use crate::plugin::Plugin;

/// Hands every connection on to a Unix socket, as long as the test lasts.
fn forward(listener: TcpListener, socket: PathBuf) {
    thread::spawn(move || {
        for near in listener.incoming() {
            let Ok(near) = near else { return };
            let far = UnixStream::connect(&socket).expect("the plugin listens");
            let (mut near_in, mut far_out) =
                (near.try_clone().expect("a copy"), far.try_clone().expect("a copy"));
            thread::spawn(move || {
                _ = io::copy(&mut near_in, &mut far_out);
                _ = far_out.shutdown(Shutdown::Write);
            });
            thread::spawn(move || pass_back(far, &near));
        }
    });
}

fn pass_back(mut far: UnixStream, mut near: &TcpStream) {
    _ = io::copy(&mut far, &mut near);
    _ = near.shutdown(Shutdown::Both);
}

/// The engine's folders, as they are reached from outside.
fn roots(sandbox: &Sandbox) -> Roots {
    let specs = vec![sandbox.dir().join("etc-docker/plugins")];
    Roots { sockets: sandbox.dir().join("run/docker/plugins"), specs }
}

on_every_engine!(a_plugin_that_listens_elsewhere_is_found_by_its_file);
fn a_plugin_that_listens_elsewhere_is_found_by_its_file(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let root = sandbox.dir().join("folders");
    let plugin =
        Plugin::start(&sandbox, "volume", "elsewhere.sock", &[root.to_str().expect("a path of text")]);
    let listener = sandbox.listen();
    let port = listener.local_addr().expect("a bound socket").port();
    forward(listener, plugin.socket.clone());
    let unix = Spec::new(Address::Unix("/run/elsewhere.sock".into()));
    let tcp = Address::Tcp(Authority::new(&format!("127.0.0.1:{port}")).expect("an authority"));
    let tcp = Spec { tls: Some(Tls::default()), ..Spec::new(tcp) };
    let roots = roots(&sandbox);
    let places = [
        ("a", "a.spec", &unix),
        ("b", "b/b.json", &unix),
        ("c", "c/c.spec", &Spec::new(tcp.address.clone())),
        ("d", "d.json", &tcp),
    ];
    for (name, place, spec) in places {
        let path = roots.specs[0].join(place);
        spec.write(&path).expect("the engine's folder");
        assert_eq!(find(name, &roots).expect("a sound file").expect("a file").path, Path::new(&path));
    }
    sandbox.start_dockerd(DockerdOptions::default());

    for (name, ..) in places {
        sandbox.docker_ok(&["volume", "create", "-d", name, &format!("of-{name}")]);
    }

    let mut made: Vec<_> =
        std::fs::read_dir(&root).expect("a folder").map(|it| it.expect("an entry").file_name()).collect();
    made.sort();
    assert_eq!(made, ["of-a", "of-b", "of-c", "of-d"]);
    assert_eq!(scan(&roots).expect("folders"), ["a", "b", "c", "d"]);
}
