/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/reload.hpp - a plugin's data that is built anew while it is in use, in C++17: the facet
 * of spoe/ext/reload.h, with a type. Header only, no part of the ABI; spoe/plugin.hpp includes it.
 * Since 1.1.
 *
 *     std::unique_ptr<names> read_names();
 *     limit(spoe::host h, spoe::config cfg)
 *         : names_(h, {"names", {std::string(cfg.text(PATH))}},
 *                  [this](const spoe::building &) { return read_names(); })
 *     {
 *     }
 *     ...
 *     if (const names *found = names_.get()) // in handle(), good until it returns
 *     ...
 *     spoe::reload<names> names_;
 */
#ifndef SPOE_EXT_RELOAD_HPP
#define SPOE_EXT_RELOAD_HPP

#include <functional>
#include <memory>

#include <spoe/ext/reload.h>
#include <spoe/views.hpp>

namespace spoe
{

/* What a source is made of. */
struct source {
    const char *name;                  /* [a-z0-9-], 1 to 32 bytes: in the log and in metrics */
    std::vector<std::string> paths;    /* files that are watched; none: no files */
    bool required = false;             /* the host's start waits for the first build, and fails */
    std::chrono::nanoseconds poll{0};  /* how often files are looked at in any case; 0: 5 s */
    std::chrono::nanoseconds every{0}; /* how long after a build the next one comes; 0: never */
};

/* A build that is under way. */
class building
{
  public:
    building(const spoe_reload *table, const spoe_reload_source *source) noexcept
        : table_(table), source_(source)
    {
    }
    /* Whether the host is about to stop: throw spoe::error(SPOE_E_STOPPING, ...) then. */
    bool cancelled() const noexcept
    {
        return source_ != nullptr && table_->cancelled(source_) != 0;
    }

  private:
    const spoe_reload *table_;
    const spoe_reload_source *source_;
};

/**
 * One source, and its state in use: a State that never changes. It is declared by the constructor,
 * so in that of the plugin, whose member it has to be: the host knows it until destroy(). It is
 * therefore neither copied nor moved.
 *
 * The build function returns a std::unique_ptr<State>; an empty one says that nothing is new. What
 * it throws is logged, and is the status of a build that failed: the state before stays in use. The
 * state is the host's then, which has it deleted once no worker can see it.
 *
 * Threads: the build function and ~State() [build], as spoe/ext/reload.h says; ~State() also on
 * [main] before stop(). Since: 1.1.
 */
template <class State> class reload
{
  public:
    using build_fn = std::function<std::unique_ptr<State>(const building &)>;

    /* Throws spoe::error: SPOE_E_UNSUPPORTED where the host has no such facet or it is not
     * configure(), or what declare() of spoe/ext/reload.h says. */
    reload(host h, const source &from, build_fn build)
        : host_(h), table_(h.extension<spoe_reload>(SPOE_RELOAD_1)), build_(std::move(build))
    {
        std::vector<const char *> paths;
        spoe_reload_decl decl = {};

        if (table_ == nullptr)
            throw error(SPOE_E_UNSUPPORTED, "the host has no " SPOE_RELOAD_1);
        for (const std::string &path : from.paths)
            paths.push_back(path.c_str());
        paths.push_back(nullptr);
        decl.size = sizeof decl;
        decl.flags = from.required ? SPOE_RELOAD_REQUIRED : 0;
        decl.name = from.name;
        decl.paths = paths.data();
        decl.poll_ns = from.poll.count();
        decl.every_ns = from.every.count();
        decl.build = on_build;
        decl.release = on_release;
        decl.arg = this;
        const spoe_status status = table_->declare(h.self(), &decl, &source_);
        if (status != SPOE_OK)
            throw error(status, "source " + std::string(from.name) + " is refused");
    }
    reload(const reload &) = delete;
    reload &operator=(const reload &) = delete;

    /* The state in use: one load, no lock. [borrow] nullptr: there is none yet. Good until the
     * callback in which it was asked for returns. [worker] */
    const State *get() const noexcept
    {
        return static_cast<const State *>(table_->get(source_));
    }
    /* Have it built anew, soon. [any] */
    void trigger() const noexcept
    {
        table_->trigger(source_);
    }
    /* Build one here and now, for nobody: what check() is for. Throws what the function does. */
    std::unique_ptr<State> try_build() const
    {
        return build_(building(table_, nullptr));
    }

  private:
    static spoe_status on_build(void *arg, spoe_reload_source *source, void **ret_state) noexcept
    {
        const reload &me = *static_cast<reload *>(arg);
        return detail::guard(me.host_, "build", [&] {
            auto state = me.build_(building(me.table_, source));
            *ret_state = const_cast<std::remove_const_t<State> *>(state.release());
        });
    }
    static void on_release(void *arg, void *state) noexcept
    {
        const reload &me = *static_cast<reload *>(arg);
        (void)detail::guard(me.host_, "release", [&] { delete static_cast<State *>(state); });
    }
    host host_;
    const spoe_reload *table_;
    spoe_reload_source *source_ = nullptr;
    build_fn build_;
};

} // namespace spoe

#endif
