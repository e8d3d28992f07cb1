// SPDX-License-Identifier: Apache-2.0
//! The descriptor by names: `plugin!`.

/// A member of the host's table that hosts of 1.0 do not have: `Some` function, or None.
#[macro_export]
macro_rules! has {
    ($table:expr, $type:ty, $member:ident) => {{
        let table: *const $type = $table;
        let start = table as usize;
        let end = std::ptr::addr_of!((*table).$member) as usize
            + std::mem::size_of::<Option<unsafe extern "C" fn()>>();
        if (*table).size as usize >= end - start {
            (*table).$member
        } else {
            None
        }
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! text {
    () => {
        std::ptr::null()
    };
    ($text:literal) => {
        concat!($text, "\0").as_ptr() as *const std::os::raw::c_char
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! of_worker {
    (handle, $type:ty) => {
        Some($crate::entry::handle::<$type>)
    };
    (handle, $type:ty, $worker:ty) => {
        Some($crate::entry::worker_handle::<$type, $worker>)
    };
    (cancel, $type:ty) => {
        Some($crate::entry::cancel::<$type>)
    };
    (cancel, $type:ty, $worker:ty) => {
        Some($crate::entry::worker_cancel::<$type, $worker>)
    };
    ($name:ident, $type:ty) => {
        None
    };
    ($name:ident, $type:ty, $worker:ty) => {
        Some($crate::entry::$name::<$type, $worker>)
    };
}

/// Declare the plugin and its entry, once in a crate; behind the plugin's type,
/// `worker: LimitWorker,` where it has a [`Worker`](crate::Worker). Names before the braces become enums, so
/// that a slot, a message or an option is `Slot::Path as usize`, whatever the order:
///
/// ```ignore
/// spoe::plugin! {
///     Limit,
///     id: "limit", version: "1.0", help: "tells whether a path is too long",
///     needs_minor: 0, flags: raw::PLUGIN_INSTANCES,
///     messages: Messages {
///         CheckPath {
///             name: "check-path", event: "on-frontend-http-request", help: "one request",
///             args: Slot {
///                 Path { name: "path", types: raw::ACCEPT_STR, flags: 0, expression: "path" },
///             }
///         },
///     },
///     variables: { "too_long": raw::SCOPE_TXN, raw::ACCEPT_BOOL; },
///     options: Options {
///         Longest { key: "longest", kind: raw::OPT_SIZE, flags: 0, default: "2k", help: "" },
///     }
/// }
/// ```
///
/// A message that comes from lines of HAProxy's log has `flags: raw::MESSAGE_FROM_LOG,` before its
/// `args`. An argument's name is the key of a pair then, or `syslog.message` (the user's own line),
/// `syslog.hostname`, `syslog.timestamp` or `syslog.procid`. There is no answer: `set()` gives
/// `raw::E_UNSUPPORTED`.
#[macro_export]
macro_rules! plugin {
    (
        $type:ty, $( worker: $worker:ty, )?
        id: $id:literal, version: $version:literal, help: $help:literal,
        needs_minor: $needs_minor:expr, $( flags: $flags:expr, )?
        messages: $messages:ident { $( $message:ident {
            name: $name:literal, event: $event:literal, help: $message_help:literal,
            $( flags: $message_flags:expr, )? args: $slots:ident { $( $slot:ident {
                name: $arg:literal, types: $types:expr, flags: $arg_flags:expr,
                expression: $expression:literal $(, help: $arg_help:literal)? $(,)?
            } ),* $(,)? } $(,)?
        } ),* $(,)? },
        variables: { $( $variable:literal : $scope:expr, $variable_types:expr; )* },
        options: $options:ident { $( $option:ident {
            key: $key:literal, kind: $kind:expr, flags: $option_flags:expr
            $(, default: $default:literal)? , help: $option_help:literal
            $(, choices: [ $( $choice:literal ),* ])? $(, env: [ $( $env:literal ),* ])?
            $(, min: $min:expr, max: $max:expr)? $(,)?
        } ),* $(,)? } $(,)?
    ) => {
        /// Messages, by their places.
        #[allow(dead_code)]
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum $messages { $( $message ),* }
        $(
            /// Slots of a message's arguments.
            #[allow(dead_code)]
            #[derive(Clone, Copy, PartialEq, Eq)]
            enum $slots { $( $slot ),* }
        )*
        /// Options, by their places.
        #[allow(dead_code)]
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum $options { $( $option ),* }

        static SPOE_PLUGIN: $crate::raw::Plugin = $crate::raw::Plugin {
            magic: $crate::raw::PLUGIN_MAGIC,
            size: std::mem::size_of::<$crate::raw::Plugin>() as u32,
            abi_major: $crate::raw::ABI_MAJOR,
            abi_minor: $crate::raw::ABI_MINOR,
            needs_minor: $needs_minor,
            reserved: 0,
            id: $crate::text!($id),
            version: $crate::text!($version),
            help: $crate::text!($help),
            messages: &[
                $( &$crate::raw::MessageDecl {
                    size: std::mem::size_of::<$crate::raw::MessageDecl>() as u32,
                    flags: 0 $( | $message_flags )?,
                    name: $crate::text!($name),
                    event: $crate::text!($event),
                    help: $crate::text!($message_help),
                    args: &[
                        $( &$crate::raw::ArgDecl {
                            size: std::mem::size_of::<$crate::raw::ArgDecl>() as u32,
                            types: $types,
                            flags: $arg_flags,
                            reserved: 0,
                            name: $crate::text!($arg),
                            expression: $crate::text!($expression),
                            help: $crate::text!($($arg_help)?),
                        } as *const $crate::raw::ArgDecl, )*
                        std::ptr::null(),
                    ] as *const *const $crate::raw::ArgDecl,
                } as *const $crate::raw::MessageDecl, )*
                std::ptr::null(),
            ] as *const *const $crate::raw::MessageDecl,
            options: &[
                $( &$crate::raw::OptionDecl {
                    size: std::mem::size_of::<$crate::raw::OptionDecl>() as u32,
                    r#type: $kind,
                    flags: $option_flags,
                    reserved: 0,
                    key: $crate::text!($key),
                    default_text: $crate::text!($($default)?),
                    help: $crate::text!($option_help),
                    env: &[ $($( $crate::text!($env), )*)? std::ptr::null() ]
                        as *const *const std::os::raw::c_char,
                    choices: &[ $($( $crate::text!($choice), )*)? std::ptr::null() ]
                        as *const *const std::os::raw::c_char,
                    min: 0 $( + $min )?,
                    max: 0 $( + $max )?,
                    env_lenient: std::ptr::null(),
                } as *const $crate::raw::OptionDecl, )*
                std::ptr::null(),
            ] as *const *const $crate::raw::OptionDecl,
            configure: Some($crate::entry::configure::<$type>),
            start: Some($crate::entry::start::<$type>),
            worker_start: $crate::of_worker!(worker_start, $type $(, $worker)?),
            handle: $crate::of_worker!(handle, $type $(, $worker)?),
            cancel: $crate::of_worker!(cancel, $type $(, $worker)?),
            drain: Some($crate::entry::drain::<$type>),
            worker_stop: $crate::of_worker!(worker_stop, $type $(, $worker)?),
            stop: Some($crate::entry::stop::<$type>),
            destroy: Some($crate::entry::destroy::<$type>),
            get_extension: None,
            open_count: None,
            quiesce: Some($crate::entry::quiesce::<$type>),
            reconfigure: Some($crate::entry::reconfigure::<$type>),
            check: Some($crate::entry::check::<$type>),
            try_out: None,
            variables: &[
                $( &$crate::raw::VariableDecl {
                    size: std::mem::size_of::<$crate::raw::VariableDecl>() as u32,
                    scope: $scope,
                    types: $variable_types,
                    flags: 0,
                    name: $crate::text!($variable),
                    help: std::ptr::null(),
                } as *const $crate::raw::VariableDecl, )*
                std::ptr::null(),
            ] as *const *const $crate::raw::VariableDecl,
            flags: 0 $( + $flags )?,
            reserved_1_1: 0,
        };

        /// The one symbol that a plugin exports.
        #[no_mangle]
        pub extern "C" fn spoe_plugin_entry_v1() -> *const $crate::raw::Plugin {
            &SPOE_PLUGIN
        }
    };
}
