-- What the drivers hold on the engine's behalf: networks and endpoints, pools and addresses, volumes and their
-- mounts. `content` is JSON as the driver writes its own types.
CREATE TABLE holding (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
