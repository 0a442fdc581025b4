//! The columns: what lies between the two ends. Each is run with IPv4 and with IPv6 inside.

/// Who is at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// A container of another node.
    Ours,
    /// A stock vxlan device of the kernel.
    Kernel,
}

/// What two columns have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description {
    /// What the table says, after the version of IP inside.
    pub(crate) name: &'static str,
    /// Names the lab.
    pub(crate) lab: &'static str,
    pub(crate) far: Far,
}

/// All of them.
pub(crate) const SETTINGS: [Description; 2] = [
    Description { name: "IPv4, TC, ours", lab: "mxours", far: Far::Ours },
    Description { name: "IPv4, TC, kernel peer", lab: "mxkern", far: Far::Kernel },
];
