-- A press is healthy while it prints and has paper for an hour.
local hs = {status = "Progressing", message = "the press is warming up"}
if obj.status == nil then return hs end
if obj.status.jammed then
  hs.status, hs.message = "Degraded", "paper jam at roller " .. obj.status.roller
elseif obj.status.printing then
  hs.status, hs.message = "Healthy", obj.status.sheets .. " sheets left"
  for _, tray in ipairs(obj.status.trays or {}) do
    if tray.sheets < 100 then
      hs.status, hs.message = "Suspended", "tray " .. tray.name .. " wants paper"
    end
  end
end
return hs
