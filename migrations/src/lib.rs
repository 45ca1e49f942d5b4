//! The schema of Roster's database, one step after another, from one definition for PostgreSQL and SQLite.
//!
//! This crate cannot see the service's own types, so that a step never changes its meaning when they do. A step that has
//! been released is never edited; a new one follows it. Constraints carry names: the service tells by them which rule a
//! write broke. What changes tables that may be large and in use is made of what `online` has.

use sea_orm_migration::prelude::*;

mod m0001_teams;
mod m0002_invitations;
mod m0003_events;
mod m0004_trees;
mod m0005_roles;
mod m0006_members;
mod m0007_profiles;
mod m0008_offers;
mod m0009_rate_limits;
mod m0010_expirations;
mod m0011_deleted_invitations;
mod m0012_mail_traces;
mod online;

/// All steps in order.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_teams::Migration),
            Box::new(m0002_invitations::Migration),
            Box::new(m0003_events::Migration),
            Box::new(m0004_trees::Migration),
            Box::new(m0005_roles::Migration),
            Box::new(m0006_members::Migration),
            Box::new(m0007_profiles::Migration),
            Box::new(m0008_offers::Migration),
            Box::new(m0009_rate_limits::Migration),
            Box::new(m0010_expirations::Migration),
            Box::new(m0011_deleted_invitations::Migration),
            Box::new(m0012_mail_traces::Migration),
        ]
    }
}

/// Column types that must behave alike in both databases.
mod column {
    use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

    /// Text that is compared and sorted byte by byte, whatever the database's locale.
    pub(crate) fn exact(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.text();
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            column.extra(r#"COLLATE "C""#);
        }
        column
    }

    /// A UUID.
    pub(crate) fn uuid(name: &'static str) -> ColumnDef {
        ColumnDef::new(name).uuid().take()
    }

    /// A point in time.
    pub(crate) fn time(name: &'static str) -> ColumnDef {
        ColumnDef::new(name).timestamp_with_time_zone().take()
    }

    /// A version or a count.
    pub(crate) fn number(name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().take()
    }

    /// Any text.
    pub(crate) fn text(name: &'static str) -> ColumnDef {
        ColumnDef::new(name).text().take()
    }

    /// A JSON document.
    pub(crate) fn json(name: &'static str) -> ColumnDef {
        ColumnDef::new(name).json_binary().take()
    }
}
