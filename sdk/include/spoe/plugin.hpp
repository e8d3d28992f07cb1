/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/plugin.hpp - a plugin as a C++ class, C++17 and later; header only, no part of the ABI. What
 * is thrown in the class ends here: it is logged, and the host gets a status. Since 1.1.
 *
 *     class limit {
 *       public:
 *         limit(spoe::host, spoe::config cfg) : longest_(cfg.size(LONGEST)) {}
 *         void handle(spoe::request &req, spoe::message msg)
 *         {
 *             req.set(SPOE_SCOPE_TXN, "too_long", msg.text(PATH).size() > longest_);
 *         }
 *       private:
 *         std::uint64_t longest_;
 *     };
 *
 *     constexpr spoe::table args{spoe::argument(PATH, "path", SPOE_ACCEPT_STR, "path")};
 *     constexpr spoe::table messages{
 *         spoe::message_of(0, "check-path", "on-frontend-http-request", args)};
 *     constexpr spoe_plugin plugin = spoe::plugin<limit>::describe("limit", "1.0", "", messages);
 *     const spoe_plugin *spoe_plugin_entry_v1() { return &plugin; }
 *
 * The class may have any of these besides, each as the member of struct spoe_plugin of that name;
 * public and not overloaded, or it is not found, and not called:
 *
 *     void start(); void drain(int64_t); void stop(int64_t); void quiesce(); uint64_t open_count();
 *     void reconfigure(spoe::config); void check(); void try_out(int64_t);
 *     void cancel(spoe_request *, int32_t); const void *extension(const char *);
 *
 * and a class `worker`, made on each worker as worker(limit &, spoe::loop &, uint32_t index), or
 * with a spoe_worker * in place of the loop, which then has handle() and cancel() in its place. The
 * destructors are worker_stop() and destroy().
 *
 * Other threads bring work back to a worker through its spoe/mailbox.hpp, which this one includes.
 *
 * Facets, each in a header of its own that this one includes: timers and descriptors on a worker's
 * loop (spoe/ext/loop.hpp), data that is built anew beside the work (spoe/ext/reload.hpp), and how
 * the plugin is (spoe/ext/health.hpp). They need a host of 1.1: needs_minor of describe().
 */
#ifndef SPOE_PLUGIN_HPP
#define SPOE_PLUGIN_HPP

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <spoe/ext/health.hpp>
#include <spoe/ext/loop.hpp>
#include <spoe/ext/reload.hpp>
#include <spoe/mailbox.hpp>
#include <spoe/views.hpp>

namespace spoe
{

/* ---- tables ------------------------------------------------------------------------------ */

template <class Decl> struct placed {
    std::size_t at;
    Decl decl;
};

/* Elements by their places, which are slots: one left out or filled twice does not compile where
 * the table is constexpr. It has to stay where it is made: make it static, or at namespace scope.
 */
template <class Decl, std::size_t N> class table
{
  public:
    template <class... Placed> constexpr explicit table(const Placed &...elements)
    {
        (put(elements), ...);
    }
    table(const table &) = delete;
    table &operator=(const table &) = delete;
    constexpr operator const Decl * const *() const noexcept
    {
        return pointers_;
    }

  private:
    constexpr void put(const placed<Decl> &element)
    {
        if (element.at >= N || pointers_[element.at] != nullptr)
            throw "a place of the table is left out, or filled twice";
        elements_[element.at] = element.decl;
        pointers_[element.at] = &elements_[element.at];
    }
    Decl elements_[N] = {};
    const Decl *pointers_[N + 1] = {};
};
template <class Decl, class... More>
table(const placed<Decl> &, const More &...) -> table<Decl, 1 + sizeof...(More)>;

constexpr placed<spoe_arg_decl> argument(std::size_t slot, const char *name, std::uint32_t types,
                                         const char *expression, std::uint32_t flags = 0,
                                         const char *help = nullptr) noexcept
{
    return {slot, {sizeof(spoe_arg_decl), types, flags, 0, name, expression, help}};
}

constexpr placed<spoe_message_decl> message_of(std::size_t index, const char *name,
                                               const char *event,
                                               const spoe_arg_decl *const *args = nullptr,
                                               const char *help = nullptr,
                                               std::uint32_t flags = 0) noexcept
{
    spoe_message_decl decl = {};
    decl.size = sizeof decl;
    decl.flags = flags;
    decl.name = name;
    decl.event = event;
    decl.help = help;
    decl.args = args;
    return {index, decl};
}

constexpr placed<spoe_variable_decl> variable(std::size_t index, const char *name,
                                              std::uint32_t scope, std::uint32_t types,
                                              const char *help = nullptr) noexcept
{
    return {index, {sizeof(spoe_variable_decl), scope, types, 0, name, help}};
}

/* Further fields: auto o = option(...); o.decl.max = 9; within a constexpr function. */
constexpr placed<spoe_option> option(std::size_t index, const char *key, std::uint32_t type,
                                     const char *default_text = nullptr, const char *help = nullptr,
                                     std::uint32_t flags = 0,
                                     const char *const *env = nullptr) noexcept
{
    spoe_option decl = {};
    decl.size = sizeof decl;
    decl.type = type;
    decl.flags = flags;
    decl.key = key;
    decl.default_text = default_text;
    decl.help = help;
    decl.env = env;
    return {index, decl};
}

/* ---- the plugin -------------------------------------------------------------------------- */

namespace detail
{

#define SPOE_HAS_MEMBER_(name)                                                                     \
    template <class C, class = void> struct has_##name : std::false_type {                         \
    };                                                                                             \
    template <class C> struct has_##name<C, std::void_t<decltype(&C::name)>> : std::true_type {    \
    }
SPOE_HAS_MEMBER_(start);
SPOE_HAS_MEMBER_(drain);
SPOE_HAS_MEMBER_(stop);
SPOE_HAS_MEMBER_(quiesce);
SPOE_HAS_MEMBER_(open_count);
SPOE_HAS_MEMBER_(reconfigure);
SPOE_HAS_MEMBER_(check);
SPOE_HAS_MEMBER_(try_out);
SPOE_HAS_MEMBER_(cancel);
SPOE_HAS_MEMBER_(extension);
#undef SPOE_HAS_MEMBER_

template <class C, class = void> struct has_worker : std::false_type {
};
template <class C> struct has_worker<C, std::void_t<typename C::worker>> : std::true_type {
};

template <class C, bool = has_worker<C>::value> struct handler {
    using type = C;
};
template <class C> struct handler<C, true> {
    using type = typename C::worker;
};

/* What the host is given for an instance. */
template <class C> struct held {
    held(host in, spoe_config *cfg) : h(in), object(in, config(in, cfg, &until_destroy))
    {
    }
    host h;
    kept until_destroy; /* longer than the object */
    C object;
};

/* The same of a worker. Its loop is there before it, and ends what it has left. */
template <class W> struct held_worker {
    template <class C>
    held_worker(host in, C &all, spoe_worker *worker, std::uint32_t index)
        : h(in), on(in, worker), object(make(all, on, index))
    {
    }
    host h;
    loop on;
    W object;

  private:
    template <class C> static W make(C &all, loop &on, std::uint32_t index)
    {
        if constexpr (std::is_constructible_v<W, C &, loop &, std::uint32_t>)
            return W(all, on, index);
        else
            return W(all, on.worker(), index);
    }
};

template <class C, bool = has_worker<C>::value> struct context_of {
    using type = held<C>;
};
template <class C> struct context_of<C, true> {
    using type = held_worker<typename C::worker>;
};

/* Delete what the host holds; a destructor that throws is no exception to the rule. */
template <class Held> void dispose(void *arg, const char *where) noexcept
{
    auto *const gone = static_cast<Held *>(arg);
    if (gone == nullptr)
        return;
    const host h = gone->h;
    (void)guard(h, where, [&] { delete gone; });
}

} // namespace detail

template <class C> class plugin
{
    using H = typename detail::handler<C>::type;
    using instance = detail::held<C>;
    using context = typename detail::context_of<C>::type;
    static constexpr bool has_worker = detail::has_worker<C>::value;

    static instance &of(void *inst) noexcept
    {
        return *static_cast<instance *>(inst);
    }

    static spoe_status configure(const spoe_host *table, spoe_instance *self, spoe_config *cfg,
                                 void **ret_inst) noexcept
    {
        const host h(table, self);
        return detail::guard(h, "configure", [&] { *ret_inst = new instance(h, cfg); });
    }
    static void destroy(void *inst) noexcept
    {
        detail::dispose<instance>(inst, "destroy");
    }
    static spoe_status worker_start(void *inst, spoe_worker *worker, std::uint32_t index,
                                    void **ret_wctx) noexcept
    {
        instance &in = of(inst);
        return detail::guard(in.h, "worker_start", [&] {
            if constexpr (has_worker)
                *ret_wctx = new context(in.h, in.object, worker, index);
        });
    }
    static void worker_stop(void *wctx) noexcept
    {
        if constexpr (has_worker)
            detail::dispose<context>(wctx, "worker_stop");
    }
    static spoe_status handle(void *wctx, spoe_request *raw, const spoe_message *msg) noexcept
    {
        context &ctx = *static_cast<context *>(wctx);
        request req(ctx.h, raw);
        const spoe_status status =
            detail::guard(ctx.h, "handle", [&] { return ctx.object.handle(req, message(msg)); });
        return req.deferred() ? static_cast<spoe_status>(SPOE_PENDING) : status;
    }
    static void cancel(void *wctx, spoe_request *raw, std::int32_t why) noexcept
    {
        context &ctx = *static_cast<context *>(wctx);
        if constexpr (detail::has_cancel<H>::value)
            (void)detail::guard(ctx.h, "cancel", [&] { ctx.object.cancel(raw, why); });
    }
    static spoe_status start(void *inst) noexcept
    {
        if constexpr (detail::has_start<C>::value)
            return detail::guard(of(inst).h, "start", [&] { return of(inst).object.start(); });
        return SPOE_OK;
    }
    static void drain(void *inst, std::int64_t deadline) noexcept
    {
        if constexpr (detail::has_drain<C>::value)
            (void)detail::guard(of(inst).h, "drain", [&] { of(inst).object.drain(deadline); });
    }
    static void stop(void *inst, std::int64_t deadline) noexcept
    {
        if constexpr (detail::has_stop<C>::value)
            (void)detail::guard(of(inst).h, "stop", [&] { of(inst).object.stop(deadline); });
    }
    static void quiesce(void *inst) noexcept
    {
        if constexpr (detail::has_quiesce<C>::value)
            (void)detail::guard(of(inst).h, "quiesce", [&] { of(inst).object.quiesce(); });
    }
    static std::uint64_t open_count(void *inst) noexcept
    {
        std::uint64_t n = 0;
        if constexpr (detail::has_open_count<C>::value)
            (void)detail::guard(of(inst).h, "open_count",
                                [&] { n = of(inst).object.open_count(); });
        return n;
    }
    static spoe_status reconfigure(void *inst, spoe_config *cfg) noexcept
    {
        if constexpr (detail::has_reconfigure<C>::value)
            return detail::guard(of(inst).h, "reconfigure", [&] {
                return of(inst).object.reconfigure(config(of(inst).h, cfg));
            });
        return SPOE_OK;
    }
    static spoe_status check(void *inst) noexcept
    {
        if constexpr (detail::has_check<C>::value)
            return detail::guard(of(inst).h, "check", [&] { return of(inst).object.check(); });
        return SPOE_OK;
    }
    static spoe_status try_out(void *inst, std::int64_t deadline) noexcept
    {
        if constexpr (detail::has_try_out<C>::value)
            return detail::guard(of(inst).h, "try_out",
                                 [&] { return of(inst).object.try_out(deadline); });
        return SPOE_OK;
    }
    static const void *extension(void *inst, const char *id) noexcept
    {
        const void *found = nullptr;
        if constexpr (detail::has_extension<C>::value)
            (void)detail::guard(of(inst).h, "extension",
                                [&] { found = of(inst).object.extension(id); });
        return found;
    }

  public:
    /* The descriptor; what the class does not have the host does not call. */
    static constexpr spoe_plugin describe(const char *id, const char *version, const char *help,
                                          const spoe_message_decl *const *messages,
                                          const spoe_option *const *options = nullptr,
                                          const spoe_variable_decl *const *variables = nullptr,
                                          std::uint16_t needs_minor = 0,
                                          std::uint32_t flags = 0) noexcept
    {
        spoe_plugin p = {};
        p.magic = SPOE_PLUGIN_MAGIC;
        p.size = sizeof p;
        p.abi_major = SPOE_ABI_MAJOR;
        p.abi_minor = SPOE_ABI_MINOR;
        p.needs_minor = needs_minor;
        p.id = id;
        p.version = version;
        p.help = help;
        p.messages = messages;
        p.options = options;
        p.variables = variables;
        p.flags = flags;
        p.configure = configure;
        p.handle = handle;
        p.destroy = destroy;
        p.worker_start = has_worker ? worker_start : nullptr;
        p.worker_stop = has_worker ? worker_stop : nullptr;
        p.start = detail::has_start<C>::value ? start : nullptr;
        p.cancel = detail::has_cancel<H>::value ? cancel : nullptr;
        p.drain = detail::has_drain<C>::value ? drain : nullptr;
        p.stop = detail::has_stop<C>::value ? stop : nullptr;
        p.get_extension = detail::has_extension<C>::value ? extension : nullptr;
        p.open_count = detail::has_open_count<C>::value ? open_count : nullptr;
        p.quiesce = detail::has_quiesce<C>::value ? quiesce : nullptr;
        p.reconfigure = detail::has_reconfigure<C>::value ? reconfigure : nullptr;
        p.check = detail::has_check<C>::value ? check : nullptr;
        p.try_out = detail::has_try_out<C>::value ? try_out : nullptr;
        return p;
    }
};

} // namespace spoe

#endif
