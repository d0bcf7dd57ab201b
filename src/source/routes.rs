//! The calls of the Engine API (`initRoutes` of the routers in moby, `api/server/router`).

/// What kind of thing a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Containers, and the execs in them.
    Container,
    /// Images, builds and what is known of registries.
    Image,
    /// Networks.
    Network,
    /// Volumes.
    Volume,
    /// The engine itself.
    Engine,
    /// Managed plugins.
    Plugin,
    /// Swarm, nodes, services, tasks, secrets and configs.
    Swarm,
}

/// One call.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// `{}` stands for the name.
    pub(super) path: &'static str,
    pub(super) what: What,
}

macro_rules! routes {
    ($($(#[$doc:meta])* $what:ident($kind:ident): $($method:literal $path:literal),+;)*) => {
        /// What an API call does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum What {
            $($(#[$doc])* $what,)*
        }

        impl What {
            /// What kind of thing it is done to.
            pub const fn kind(self) -> Kind {
                match self {
                    $(What::$what => Kind::$kind,)*
                }
            }
        }

        /// Every call, in an order in which the first that matches is the one that the engine serves.
        pub(super) const ROUTES: &[Route] = &[
            $($(Route { method: $method, path: $path, what: What::$what },)+)*
        ];
    };
}

routes! {
    /// Makes a container.
    ContainerCreate(Container): "POST" "/containers/create";
    /// Removes all stopped containers that its filters let through.
    ContainerPrune(Container): "POST" "/containers/prune";
    /// Starts a container.
    ContainerStart(Container): "POST" "/containers/{}/start";
    /// Stops a container.
    ContainerStop(Container): "POST" "/containers/{}/stop";
    /// Stops a container and starts it again.
    ContainerRestart(Container): "POST" "/containers/{}/restart";
    /// Sends a signal.
    ContainerKill(Container): "POST" "/containers/{}/kill";
    /// Freezes a container.
    ContainerPause(Container): "POST" "/containers/{}/pause";
    /// Lets a frozen container go on.
    ContainerUnpause(Container): "POST" "/containers/{}/unpause";
    /// Gives a container another name.
    ContainerRename(Container): "POST" "/containers/{}/rename";
    /// Changes limits or restart policy.
    ContainerUpdate(Container): "POST" "/containers/{}/update";
    /// Prepares a command in a container.
    ContainerExec(Container): "POST" "/containers/{}/exec";
    /// Waits for an end.
    ContainerWait(Container): "POST" "/containers/{}/wait";
    /// Connects to a container's streams.
    ContainerAttach(Container): "POST" "/containers/{}/attach", "GET" "/containers/{}/attach/ws";
    /// Resizes the terminal.
    ContainerResize(Container): "POST" "/containers/{}/resize";
    /// Writes files into a container.
    ContainerPutArchive(Container): "PUT" "/containers/{}/archive";
    /// Reads a container, its files, its logs.
    ContainerRead(Container):
        "GET" "/containers/json", "GET" "/containers/{}/json", "GET" "/containers/{}/archive",
        "HEAD" "/containers/{}/archive", "GET" "/containers/{}/export", "GET" "/containers/{}/logs",
        "GET" "/containers/{}/stats", "GET" "/containers/{}/top", "GET" "/containers/{}/changes";
    /// Keeps or loads a checkpoint.
    ContainerCheckpoint(Container):
        "POST" "/containers/{}/checkpoints", "GET" "/containers/{}/checkpoints",
        "DELETE" "/containers/{}/checkpoints/{}";
    /// Removes a container, or only a name for it (`link=1`).
    ContainerRemove(Container): "DELETE" "/containers/{}";
    /// Runs a command that was prepared.
    ExecStart(Container): "POST" "/exec/{}/start";
    /// Resizes an exec's terminal, or reads how it ended.
    ExecOther(Container): "POST" "/exec/{}/resize", "GET" "/exec/{}/json";
    /// Makes an image of a container.
    ContainerCommit(Image): "POST" "/commit";

    /// Makes a network.
    NetworkCreate(Network): "POST" "/networks/create";
    /// Removes all networks that nobody uses.
    NetworkPrune(Network): "POST" "/networks/prune";
    /// Attaches a container.
    NetworkConnect(Network): "POST" "/networks/{}/connect";
    /// Detaches a container.
    NetworkDisconnect(Network): "POST" "/networks/{}/disconnect";
    /// Removes a network.
    NetworkRemove(Network): "DELETE" "/networks/{}";
    /// Reads networks.
    NetworkRead(Network): "GET" "/networks", "GET" "/networks/", "GET" "/networks/{}";

    /// Makes a volume.
    VolumeCreate(Volume): "POST" "/volumes/create";
    /// Removes all volumes that nobody uses.
    VolumePrune(Volume): "POST" "/volumes/prune";
    /// Changes a cluster volume.
    VolumeUpdate(Volume): "PUT" "/volumes/{}";
    /// Removes a volume.
    VolumeRemove(Volume): "DELETE" "/volumes/{}";
    /// Reads volumes.
    VolumeRead(Volume): "GET" "/volumes", "GET" "/volumes/{}";

    /// Pulls an image (`fromImage`), or imports one (`fromSrc`).
    ImageCreate(Image): "POST" "/images/create";
    /// Loads images from a tar file.
    ImageLoad(Image): "POST" "/images/load";
    /// Removes all images that nobody uses.
    ImagePrune(Image): "POST" "/images/prune";
    /// Gives an image another name.
    ImageTag(Image): "POST" "/images/{}/tag";
    /// Sends an image to a registry.
    ImagePush(Image): "POST" "/images/{}/push";
    /// Removes an image, or a name of it.
    ImageRemove(Image): "DELETE" "/images/{}";
    /// Reads images.
    ImageRead(Image):
        "GET" "/images/json", "GET" "/images/search", "GET" "/images/get", "GET" "/images/{}/get",
        "GET" "/images/{}/history", "GET" "/images/{}/json", "GET" "/distribution/{}/json";
    /// Builds an image, or opens the way to a builder whose calls are not seen.
    ImageBuild(Image): "POST" "/build", "POST" "/grpc";
    /// Removes what builds have kept.
    BuildPrune(Image): "POST" "/build/prune";
    /// Ends a build.
    BuildCancel(Image): "POST" "/build/cancel";
    /// A builder's way back to its client.
    BuildSession(Image): "POST" "/session";

    /// Logs in to a registry.
    Auth(Engine): "POST" "/auth";
    /// Reads what the engine is and does.
    EngineRead(Engine):
        "GET" "/_ping", "HEAD" "/_ping", "GET" "/info", "GET" "/version", "GET" "/events",
        "GET" "/system/df", "GET" "/debug/{}", "OPTIONS" "*";

    /// Makes, installs, changes or removes a managed plugin. It can switch authorization off.
    PluginChange(Plugin):
        "POST" "/plugins/create", "POST" "/plugins/pull", "POST" "/plugins/{}/enable",
        "POST" "/plugins/{}/disable", "POST" "/plugins/{}/set", "POST" "/plugins/{}/upgrade",
        "POST" "/plugins/{}/push", "DELETE" "/plugins/{}";
    /// Reads managed plugins.
    PluginRead(Plugin): "GET" "/plugins", "GET" "/plugins/privileges", "GET" "/plugins/{}/json";

    /// Changes the swarm, or what it runs.
    SwarmChange(Swarm):
        "POST" "/swarm/init", "POST" "/swarm/join", "POST" "/swarm/leave", "POST" "/swarm/update",
        "POST" "/swarm/unlock", "POST" "/services/create", "POST" "/services/{}/update",
        "DELETE" "/services/{}", "POST" "/secrets/create", "POST" "/secrets/{}/update",
        "DELETE" "/secrets/{}", "POST" "/configs/create", "POST" "/configs/{}/update",
        "DELETE" "/configs/{}", "POST" "/nodes/{}/update", "DELETE" "/nodes/{}";
    /// Reads the swarm.
    SwarmRead(Swarm):
        "GET" "/swarm", "GET" "/swarm/unlockkey", "GET" "/services", "GET" "/services/{}/logs",
        "GET" "/services/{}", "GET" "/tasks", "GET" "/tasks/{}/logs", "GET" "/tasks/{}", "GET" "/secrets",
        "GET" "/secrets/{}", "GET" "/configs", "GET" "/configs/{}", "GET" "/nodes", "GET" "/nodes/{}";
}
