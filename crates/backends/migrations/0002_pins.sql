-- Pins: definitions of tools that were seen and approved.
--
-- Digests are SHA-256 over the canonical text of a definition. `seen_text` is NULL where it is what was
-- approved. Times are Unix seconds.

CREATE TABLE pins (
    upstream TEXT NOT NULL,
    tool TEXT NOT NULL,
    -- The four are NULL together, for what nobody approved.
    approved BLOB,
    approved_by TEXT,
    approved_at INTEGER,
    approved_text TEXT,
    seen BLOB NOT NULL,
    seen_at INTEGER NOT NULL,
    seen_text TEXT,
    PRIMARY KEY (upstream, tool)
) STRICT;

-- One number that gates look at: the whole file changes for many other reasons.
CREATE TABLE pins_version (
    version INTEGER NOT NULL
) STRICT;
INSERT INTO pins_version VALUES (1);

CREATE TRIGGER pins_insert AFTER INSERT ON pins BEGIN
    UPDATE pins_version SET version = version + 1;
END;
CREATE TRIGGER pins_update AFTER UPDATE ON pins BEGIN
    UPDATE pins_version SET version = version + 1;
END;
CREATE TRIGGER pins_delete AFTER DELETE ON pins BEGIN
    UPDATE pins_version SET version = version + 1;
END;
