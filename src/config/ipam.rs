//! `ipam`: from where networks get their addresses, and for how long one is kept for whom it was.

use std::time::Duration;

use ipnet::IpNet;

use super::node::{Node, Value};
use super::quantity::{self, Zero};
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::shape::{Preset, Shape};
use super::table::{Field, table};

/// The longest that an address is kept for somebody, in seconds: 30 days.
const STICKY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The most bits that a pool may be cut into: a million networks.
const CUT_BITS_MAX: u8 = 20;

/// From where networks get their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipam {
    /// What networks that name no subnet get one of, tried in this order.
    pub default_address_pools: Vec<AddressPool>,
    /// For how long an address that was given back is kept for whom it was. Zero: not at all.
    pub sticky: Duration,
}

/// A range of addresses that is cut into subnets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole range, its host bits zero.
    pub base: IpNet,
    /// The length of each subnet's prefix, in bits; at least that of `base`.
    pub size: u8,
}

impl Ipam {
    /// For how long an address is kept if the file does not say.
    pub const STICKY: Duration = Duration::from_secs(10 * 60);
    /// The ranges of a file that has none. Docker takes its own from 172.16.0.0/12 and 192.168.0.0/16
    /// (`ipamutils` in moby, `daemon/libnetwork/ipamutils/utils.go`).
    pub const POOLS: [(&str, u8); 2] = [("10.201.0.0/16", 24), ("fd62:6f61:7468::/48", 64)];
}

impl Default for Ipam {
    fn default() -> Ipam {
        let pool =
            |(base, size): (&str, u8)| AddressPool { base: base.parse().expect("a constant range"), size };
        Ipam { default_address_pools: Ipam::POOLS.map(pool).into(), sticky: Ipam::STICKY }
    }
}

table! {
    /// `ipam`, as written.
    IpamDraft, "`ipam`" {
        /// What networks that name no subnet get one of, tried in this order.
        default_address_pools: Shape::Many(&Shape::Table(PoolDraft::keys)),
        /// For how long an address that was given back is kept for whom it was; 0: not at all.
        sticky: Shape::Duration(Zero::Allowed) => Preset::Span(Ipam::STICKY),
    }
    later {}
    synonyms { "pools": "default_address_pools", "default-address-pools": "default_address_pools",
        "default_pools": "default_address_pools", "keep": "sticky" }
}

table! {
    /// One of the `default_address_pools`, as written.
    PoolDraft, "a pool" {
        /// The range: `10.201.0.0/16`.
        base: Shape::Matching("/[0-9]+$"),
        /// The length of each network's prefix, in bits: 24 makes networks of 254 addresses.
        size: Shape::Number(8..=126),
    }
    later {}
    synonyms { "subnet": "base", "cidr": "base", "prefix": "size" }
    required { "base", "size" }
}

/// What `field` says, or `None` once everything wrong with it is in `report`.
pub(super) fn resolve(field: Option<&Field>, report: &mut Report) -> Option<Ipam> {
    let Some(field) = field else { return Some(Ipam::default()) };
    let draft = IpamDraft::read(&field.value, report)?;
    let pools = match &draft.default_address_pools {
        None => Some(Ipam::default().default_address_pools),
        Some(field) => pools(field, report),
    };
    let sticky = report.parse_or(draft.sticky.as_ref(), Ipam::STICKY, |it| {
        match quantity::duration(it, Zero::Allowed)? {
            span if span <= STICKY_MAX => Ok(span),
            _ => Err(Wrong::new("range", "is longer than 30 days")
                .help("write `30d` or less; an address that has to stay is one for `--ip`")),
        }
    });
    draft.outline.sound()?;
    Some(Ipam { default_address_pools: pools?, sticky: sticky? })
}

fn pools(field: &Field, report: &mut Report) -> Option<Vec<AddressPool>> {
    let items = report.elements(field.key, &field.value)?;
    let mut pools: Vec<AddressPool> = Vec::new();
    let mut sound = true;
    for item in items {
        let Some(pool) = pool(item, report) else {
            sound = false;
            continue;
        };
        match pools.iter().find(|it| it.base.contains(&pool.base) || pool.base.contains(&it.base)) {
            Some(other) => {
                let message = format!("`{}` and `{}` share addresses", pool.base, other.base);
                report.push(item.span.clone(), Wrong::new("overlap", message).help("remove one of them"));
                sound = false;
            }
            None => pools.push(pool),
        }
    }
    sound.then_some(pools)
}

fn pool(node: &Node, report: &mut Report) -> Option<AddressPool> {
    if !matches!(node.value, Value::Map(_)) {
        let wrong = scalar::wants("a table of `base` and `size`", node);
        report.push(
            node.span.clone(),
            Wrong { message: format!("a pool {}", wrong.message), ..wrong }
                .help("write `{base: 10.201.0.0/16, size: 24}`"),
        );
        return None;
    }
    let draft = PoolDraft::read(node, report)?;
    let missing = |field: &Option<Field>, key: &'static str, report: &mut Report| {
        if field.is_none() {
            let wrong = Wrong::new("missing", format!("this pool has no `{key}`"));
            report.missing(&draft.outline, &[key], wrong.help("write `{base: 10.201.0.0/16, size: 24}`"));
        }
    };
    missing(&draft.base, "base", report);
    missing(&draft.size, "size", report);
    let base = draft.base.as_ref().and_then(|it| report.parse(it, range));
    let size = draft.size.as_ref().and_then(|it| {
        report.parse(it, |node| {
            let bits = scalar::integer(node, 8..=126)?;
            let bits = u8::try_from(bits).expect("the range is one of a byte's");
            base.map_or(Ok(bits), |base| cut(base, bits))
        })
    });
    draft.outline.sound()?;
    Some(AddressPool { base: base?, size: size? })
}

fn range(node: &Node) -> Result<IpNet, Wrong> {
    let text = scalar::nonempty(node)?;
    let net: IpNet = text.parse().map_err(|_| {
        Wrong::new("range", format!("is no range of addresses: {}", quoted(text)))
            .help("write an address and the length of its prefix: `10.201.0.0/16`")
    })?;
    if net != net.trunc() {
        let message = format!("has bits beyond its prefix: {}", quoted(text));
        return Err(Wrong::new("range", message).help(format!("write `{}`", net.trunc())));
    }
    Ok(net)
}

/// `bits`, if networks of that size can be cut from `base`.
fn cut(base: IpNet, bits: u8) -> Result<u8, Wrong> {
    // The smallest that has a gateway and a container.
    let longest = base.max_prefix_len() - 2;
    let most = longest.min(base.prefix_len().saturating_add(CUT_BITS_MAX));
    if (base.prefix_len()..=most).contains(&bits) {
        return Ok(bits);
    }
    let message = format!("is {bits}, and networks of that size cannot be cut from `{base}`");
    Err(Wrong::new("range", message).help(format!("write a number from {} to {most}", base.prefix_len())))
}
