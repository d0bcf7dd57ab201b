//! What a network is made like: the options of `docker network create -d boathook`.

use std::net::IpAddr;
use std::str::FromStr;

use docker_plugin_sdk::driver::DriverOptions;
use serde::{Deserialize, Serialize};

use crate::driver::link::{IpvlanMode, LinkName, MacvlanMode};
use crate::near::nearest;

/// What a network is made like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// What it is made of.
    pub(super) mode: Mode,
    /// The most that a packet may have, in bytes; `None`: as the kernel likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mtu: Option<u32>,
}

/// What a network is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// A bridge, with a port for each container.
    Bridge(BridgeSettings),
    /// Links with hardware addresses of their own on a link of the host.
    Macvlan {
        /// The link of the host.
        parent: LinkName,
        /// Who reaches whom.
        mode: MacvlanMode,
    },
    /// Links that share the hardware address of a link of the host.
    Ipvlan {
        /// The link of the host.
        parent: LinkName,
        /// What decides where a packet goes.
        mode: IpvlanMode,
    },
    /// What a script makes.
    Script {
        /// The name of the script.
        script: String,
    },
}

/// What a bridge is made like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BridgeSettings {
    /// What it is called; `None`: a name is made of the network's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<LinkName>,
    /// Whether containers are seen from outside with the address of the host.
    pub(super) masquerade: bool,
    /// Where ports are published whose address is not said; `None`: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) host_ip: Option<IpAddr>,
}

/// An option, by whatever name it was given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Mode,
    Mtu,
    Bridge,
    Masquerade,
    HostIp,
    Parent,
    MacvlanMode,
    IpvlanMode,
    Script,
}

/// The names of the options. Those of Docker's own drivers mean the same here (the labels in moby,
/// `daemon/libnetwork/drivers/bridge/labels.go`).
const KEYS: [(&str, Key); 11] = [
    ("mode", Key::Mode),
    ("mtu", Key::Mtu),
    ("com.docker.network.driver.mtu", Key::Mtu),
    ("bridge", Key::Bridge),
    ("com.docker.network.bridge.name", Key::Bridge),
    ("com.docker.network.bridge.enable_ip_masquerade", Key::Masquerade),
    ("com.docker.network.bridge.host_binding_ipv4", Key::HostIp),
    ("parent", Key::Parent),
    ("macvlan_mode", Key::MacvlanMode),
    ("ipvlan_mode", Key::IpvlanMode),
    ("script", Key::Script),
];

const MODES: [&str; 4] = ["bridge", "macvlan", "ipvlan", "script"];

/// The link that the kernel makes nothing on: a network there would be one that no container gets on.
const LOOPBACK: &str = "lo";

/// What is wrong with the options of a network: all of it, for the docker user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(Vec<String>);

impl Settings {
    /// The smallest packet that a network must carry (RFC 791, section 3.2).
    const MTU_MIN: u32 = 68;

    /// The smallest that IPv6 makes do with (RFC 8200, section 5).
    const MTU_MIN_IPV6: u32 = 1280;

    /// The largest that a bridge carries (`ETH_MAX_MTU` in Linux, `include/uapi/linux/if_ether.h`).
    const MTU_MAX: u32 = 65535;

    /// Reads the options. `ipv6`: whether the network has addresses of IPv6.
    ///
    /// # Errors
    ///
    /// When any is wrong: then with everything that is.
    pub(super) fn read(options: &DriverOptions, ipv6: bool) -> Result<Settings, SettingsError> {
        let mut reading = Reading { options, mistakes: Vec::new() };
        let settings = reading.settings(ipv6);
        match settings.filter(|_| reading.mistakes.is_empty()) {
            Some(settings) => Ok(settings),
            None => Err(SettingsError(reading.mistakes)),
        }
    }
}

/// Options that are being read, and what was wrong with them so far.
struct Reading<'a> {
    options: &'a DriverOptions,
    mistakes: Vec<String>,
}

impl Reading<'_> {
    fn settings(&mut self, ipv6: bool) -> Option<Settings> {
        let (_, mode) = self.value(Key::Mode).unwrap_or(("mode", "bridge"));
        let mode = mode.to_owned();
        if mode == "script" {
            // All others are the script's own, and it is shown them.
            let script = self.required(Key::Script, "which script answers, as `script=NAME`");
            return Some(Settings { mode: Mode::Script { script: script? }, mtu: None });
        }
        self.look_for_others(&mode);
        let mtu = self.mtu(ipv6);
        Some(Settings { mode: self.mode(&mode)?, mtu })
    }

    fn mode(&mut self, mode: &str) -> Option<Mode> {
        match mode {
            "bridge" => {
                let name = self.parsed(Key::Bridge);
                let masquerade = self.flag(Key::Masquerade).unwrap_or(true);
                let host_ip = self.parsed(Key::HostIp);
                Some(Mode::Bridge(BridgeSettings { name, masquerade, host_ip }))
            }
            "macvlan" => {
                let parent = self.parent();
                let mode = self.one_of(Key::MacvlanMode, &MacvlanMode::NAMED);
                Some(Mode::Macvlan { parent: parent?, mode })
            }
            "ipvlan" => {
                let parent = self.parent();
                let mode = self.one_of(Key::IpvlanMode, &IpvlanMode::NAMED);
                Some(Mode::Ipvlan { parent: parent?, mode })
            }
            other => {
                let hint = hint(other, MODES);
                self.mistakes.push(format!("`mode={other}` is none of {}{hint}", listed(MODES)));
                None
            }
        }
    }

    /// Finds fault with options that do not exist, or have no effect in this mode.
    fn look_for_others(&mut self, mode: &str) {
        for name in self.options.keys() {
            match KEYS.iter().find(|(known, _)| known == name) {
                None => {
                    let hint = hint(name, KEYS.map(|(known, _)| known));
                    self.mistakes.push(format!("there is no option `{name}`{hint}"));
                }
                Some((_, key)) if MODES.contains(&mode) && !key.modes().contains(&mode) => {
                    let modes = key.modes().join("` or `mode=");
                    self.mistakes
                        .push(format!("`{name}` is an option of `mode={modes}`, not of `mode={mode}`"));
                }
                Some(_) => {}
            }
        }
    }

    /// The option's value, and the name that it was given by.
    fn value(&self, key: Key) -> Option<(&'static str, &str)> {
        let names = KEYS.iter().filter(|(_, it)| *it == key);
        names.into_iter().find_map(|(name, _)| Some((*name, self.options.get(*name)?.as_str())))
    }

    fn required(&mut self, key: Key, what: &str) -> Option<String> {
        match self.value(key) {
            Some((_, value)) if !value.is_empty() => Some(value.to_owned()),
            _ => {
                self.mistakes.push(format!("it is not said {what}"));
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, key: Key) -> Option<T> {
        let (name, value) = self.value(key)?;
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let mistake = format!("`{name}={value}`: {error}");
                self.mistakes.push(mistake);
                None
            }
        }
    }

    fn parent(&mut self) -> Option<LinkName> {
        self.required(Key::Parent, "on which link of the host it is made, as `parent=eth0`")?;
        let parent: LinkName = self.parsed(Key::Parent)?;
        if parent.as_str() == LOOPBACK {
            let mistake =
                format!("`parent={parent}`: no link can be made on that one, name a card of the host");
            self.mistakes.push(mistake);
            return None;
        }
        Some(parent)
    }

    /// `true` or `false`, in the spellings that Docker takes (`ParseBool` of Go's `strconv`).
    fn flag(&mut self, key: Key) -> Option<bool> {
        let (name, value) = self.value(key)?;
        match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => {
                let mistake = format!("`{name}={value}` is neither `true` nor `false`");
                self.mistakes.push(mistake);
                None
            }
        }
    }

    fn one_of<T: Copy + Default, const N: usize>(&mut self, key: Key, known: &[(&'static str, T); N]) -> T {
        let Some((name, value)) = self.value(key) else { return T::default() };
        match known.iter().find(|(it, _)| *it == value) {
            Some((_, found)) => *found,
            None => {
                let words = known.map(|(it, _)| it);
                let mistake = format!("`{name}={value}` is none of {}{}", listed(words), hint(value, words));
                self.mistakes.push(mistake);
                T::default()
            }
        }
    }

    fn mtu(&mut self, ipv6: bool) -> Option<u32> {
        let (name, value) = self.value(Key::Mtu)?;
        let (min, whose) = match ipv6 {
            true => (Settings::MTU_MIN_IPV6, " of a network with IPv6"),
            false => (Settings::MTU_MIN, ""),
        };
        let max = Settings::MTU_MAX;
        match value.parse::<u32>() {
            // What Docker's drivers take for "not said".
            Ok(0) => None,
            Ok(mtu) if (min..=max).contains(&mtu) => Some(mtu),
            _ => {
                let mistake = format!("`{name}={value}`: an mtu{whose} is a number from {min} to {max}");
                self.mistakes.push(mistake);
                None
            }
        }
    }
}

impl Key {
    /// The modes that it has an effect in, scripts apart.
    fn modes(self) -> &'static [&'static str] {
        match self {
            Key::Mode | Key::Mtu => &["bridge", "macvlan", "ipvlan"],
            Key::Bridge | Key::Masquerade | Key::HostIp => &["bridge"],
            Key::Parent => &["macvlan", "ipvlan"],
            Key::MacvlanMode => &["macvlan"],
            Key::IpvlanMode => &["ipvlan"],
            Key::Script => &["script"],
        }
    }
}

fn listed<const N: usize>(words: [&str; N]) -> String {
    words.map(|it| format!("`{it}`")).join(", ")
}

/// What was probably meant, to be appended to a mistake.
fn hint<const N: usize>(written: &str, known: [&str; N]) -> String {
    nearest(written, known).map_or_else(String::new, |it| format!(", is it `{it}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Settings, String> {
        let options: DriverOptions = options.iter().copied().collect();
        Settings::read(&options, false).map_err(|it| it.to_string())
    }

    #[test]
    fn without_options_it_is_a_bridge_that_masquerades() {
        let bridge = BridgeSettings { name: None, masquerade: true, host_ip: None };
        assert_eq!(read(&[]), Ok(Settings { mode: Mode::Bridge(bridge), mtu: None }));
    }

    #[test]
    fn dockers_own_names_are_understood() {
        let read = read(&[
            ("com.docker.network.bridge.name", "lan"),
            ("com.docker.network.bridge.enable_ip_masquerade", "false"),
            ("com.docker.network.bridge.host_binding_ipv4", "127.0.0.1"),
            ("com.docker.network.driver.mtu", "1400"),
        ]);

        let bridge = BridgeSettings {
            name: Some("lan".parse().unwrap()),
            masquerade: false,
            host_ip: Some("127.0.0.1".parse().unwrap()),
        };
        assert_eq!(read, Ok(Settings { mode: Mode::Bridge(bridge), mtu: Some(1400) }));
    }

    #[test]
    fn links_on_a_parent_have_modes_of_their_own() {
        let macvlan = read(&[("mode", "macvlan"), ("parent", "eth0"), ("macvlan_mode", "private")]);
        let parent: LinkName = "eth0".parse().unwrap();
        let mode = Mode::Macvlan { parent: parent.clone(), mode: MacvlanMode::Private };
        assert_eq!(macvlan, Ok(Settings { mode, mtu: None }));

        let ipvlan = read(&[("mode", "ipvlan"), ("parent", "eth0")]);
        assert_eq!(ipvlan, Ok(Settings { mode: Mode::Ipvlan { parent, mode: IpvlanMode::L2 }, mtu: None }));
    }

    #[test]
    fn a_script_is_named_and_has_options_of_its_own() {
        let mode = Mode::Script { script: "ovs".to_owned() };
        let named = read(&[("mode", "script"), ("script", "ovs"), ("vlan", "12")]);
        assert_eq!(named, Ok(Settings { mode, mtu: None }));
        assert_eq!(
            read(&[("mode", "script")]),
            Err("it is not said which script answers, as `script=NAME`".into())
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_what_was_meant() {
        let wrong =
            read(&[("mtu", "9"), ("brdige", "lan"), ("parent", "eth0"), ("bridge", "way-too-long-for-it")]);

        assert_eq!(
            wrong.unwrap_err().split("; ").collect::<Vec<_>>(),
            [
                "there is no option `brdige`, is it `bridge`?",
                "`parent` is an option of `mode=macvlan` or `mode=ipvlan`, not of `mode=bridge`",
                "`mtu=9`: an mtu is a number from 68 to 65535",
                "`bridge=way-too-long-for-it`: `way-too-long-for-it` is longer than the 15 bytes that a link's \
                 name may have",
            ]
        );
        assert_eq!(
            read(&[("mode", "mcvlan")]),
            Err("`mode=mcvlan` is none of `bridge`, `macvlan`, `ipvlan`, `script`, is it `macvlan`?"
                .to_owned())
        );
        assert_eq!(
            read(&[("mode", "macvlan")]),
            Err("it is not said on which link of the host it is made, as `parent=eth0`".to_owned())
        );
        assert_eq!(
            read(&[("mode", "ipvlan"), ("parent", "lo")]),
            Err("`parent=lo`: no link can be made on that one, name a card of the host".to_owned())
        );
    }

    #[test]
    fn ipv6_wants_larger_packets() {
        let options: DriverOptions = [("mtu", "1000")].into_iter().collect();
        let wrong = Settings::read(&options, true).unwrap_err().to_string();
        assert_eq!(wrong, "`mtu=1000`: an mtu of a network with IPv6 is a number from 1280 to 65535");
    }
}
