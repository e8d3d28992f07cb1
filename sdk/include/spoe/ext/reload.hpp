/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/reload.hpp - a plugin's data that is built anew while it is in use, in C++17: the facet
 * of spoe/ext/reload.h, with a type. Header only, no part of the ABI; spoe/plugin.hpp includes it.
 * Since 1.1.
 *
 *     std::unique_ptr<names> read_names();
 *     limit(spoe::host, spoe::config cfg)
 *         : names_(cfg, {"names", {std::string(cfg.text(PATH))}},
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
#include <mutex>

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
 * so in that of the plugin, whose options it asks for; as a rule it is a member of the plugin. It
 * is neither copied nor moved.
 *
 * The build function returns a std::unique_ptr<State>; an empty one says that nothing is new. What
 * it throws is logged, and is the status of a build that failed: the state before stays in use. The
 * state is the host's then, which has it deleted once no worker can see it.
 *
 * It may end before its plugin, since what the host has a pointer to lives until destroy() has
 * returned. Its destructor waits for a build that is under way, and destroys the build function.
 * The host cannot take a source back, so that builds of it fail from then on, and say so in the
 * log.
 *
 * Threads: the build function and ~State() [build], as spoe/ext/reload.h says; ~State() also on
 * [main] before stop(). Since: 1.1.
 */
template <class State> class reload
{
  public:
    using build_fn = std::function<std::unique_ptr<State>(const building &)>;

    /* Throws spoe::error: SPOE_E_UNSUPPORTED where the host has no such facet or it is not the
     * plugin's constructor, or what declare() of spoe/ext/reload.h says. */
    reload(config cfg, const source &from, build_fn build)
        : table_(cfg.host().extension<spoe_reload>(SPOE_RELOAD_1)),
          shared_(std::make_shared<shared>(cfg.host(), table_, std::move(build)))
    {
        std::vector<const char *> paths;
        spoe_reload_decl decl = {};

        if (table_ == nullptr)
            throw error(SPOE_E_UNSUPPORTED, "the host has no " SPOE_RELOAD_1);
        if (cfg.kept_ == nullptr)
            throw error(SPOE_E_UNSUPPORTED, "a source is declared in the plugin's constructor");
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
        decl.arg = shared_.get();
        cfg.kept_->push_back(shared_); /* before the host knows of it */
        const spoe_status status = table_->declare(cfg.host().self(), &decl, &source_);
        if (status != SPOE_OK)
            throw error(status, "source " + std::string(from.name) + " is refused");
    }
    reload(const reload &) = delete;
    reload &operator=(const reload &) = delete;
    ~reload()
    {
        const std::lock_guard<std::mutex> lock(shared_->under_way);
        shared_->build = nullptr;
    }

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
        return shared_->build(building(table_, nullptr));
    }

  private:
    /* What the host has a pointer to. */
    struct shared {
        shared(host in, const spoe_reload *functions, build_fn fn)
            : h(in), table(functions), build(std::move(fn))
        {
        }
        host h;
        const spoe_reload *table;
        build_fn build; /* empty once its object has ended */
        std::mutex under_way;
    };
    static spoe_status on_build(void *arg, spoe_reload_source *source, void **ret_state) noexcept
    {
        shared &it = *static_cast<shared *>(arg);
        return detail::guard(it.h, "build", [&] {
            const std::lock_guard<std::mutex> lock(it.under_way);
            if (!it.build)
                throw error(SPOE_E_INTERNAL, "the spoe::reload of a source has been destroyed");
            auto state = it.build(building(it.table, source));
            *ret_state = const_cast<std::remove_const_t<State> *>(state.release());
        });
    }
    static void on_release(void *arg, void *state) noexcept
    {
        const shared &it = *static_cast<shared *>(arg);
        (void)detail::guard(it.h, "release", [&] { delete static_cast<State *>(state); });
    }
    const spoe_reload *table_;
    spoe_reload_source *source_ = nullptr;
    std::shared_ptr<shared> shared_;
};

} // namespace spoe

#endif
