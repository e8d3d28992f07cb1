/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoe/ext/health.hpp - how a plugin is, in C++17: the facet of spoe/ext/health.h. Header only, no
 * part of the ABI; spoe/plugin.hpp includes it. Since 1.1.
 *
 *     limit(spoe::host h, spoe::config) : health_(h) { health_.degraded("nothing is loaded yet"); }
 *     ...
 *     health_.ready();
 *     health_.status("1 204 311 prefixes");
 */
#ifndef SPOE_EXT_HEALTH_HPP
#define SPOE_EXT_HEALTH_HPP

#include <spoe/ext/health.h>
#include <spoe/views.hpp>

namespace spoe
{

/**
 * To be copied freely. Where the host has no such facet, as those of 1.0, what is said is not
 * heard. Texts are copied: one line of UTF-8, of which SPOE_HEALTH_TEXT_MAX bytes count.
 *
 * Threads: [any], from configure() until destroy() returns. Nothing throws, nothing is allocated.
 * Since: 1.1.
 */
class health
{
  public:
    explicit health(host h) noexcept : host_(h), table_(h.extension<spoe_health>(SPOE_HEALTH_1))
    {
    }
    /* Whether anybody listens. */
    explicit operator bool() const noexcept
    {
        return table_ != nullptr;
    }
    /* All is well. */
    void ready(std::string_view reason = {}) const noexcept
    {
        set(SPOE_HEALTH_READY, reason);
    }
    /* It answers, but not as it should. */
    void degraded(std::string_view reason) const noexcept
    {
        set(SPOE_HEALTH_DEGRADED, reason);
    }
    /* What it answers is worth nothing. */
    void down(std::string_view reason) const noexcept
    {
        set(SPOE_HEALTH_DOWN, reason);
    }
    /* What it has or does, in one line; empty: nothing. */
    void status(std::string_view text) const noexcept
    {
        if (table_ != nullptr)
            table_->status(host_.self(), span(text));
    }

  private:
    void set(std::int32_t state, std::string_view reason) const noexcept
    {
        if (table_ != nullptr)
            table_->set(host_.self(), state, span(reason));
    }
    host host_;
    const spoe_health *table_;
};

} // namespace spoe

#endif
